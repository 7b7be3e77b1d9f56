#include "client/chat/conversation.h"

#include <google/protobuf/util/json_util.h>

#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "client/nearest.h"
#include "client/text_input.h"

namespace forge::client {

namespace {

using google::protobuf::FieldDescriptor;

template <typename Number>
bool Parse(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// False if `text` is no value of the field.
bool SetField(const FieldDescriptor& field, const std::string& text, v1::SamplingOptions& options) {
  const google::protobuf::Reflection& reflection = *options.GetReflection();
  float real = 0.0f;
  int32_t integer = 0;
  uint64_t large = 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (!Parse(text, real)) return false;
      reflection.SetFloat(&options, &field, real);
      return true;
    case FieldDescriptor::CPPTYPE_INT32:
      if (!Parse(text, integer)) return false;
      reflection.SetInt32(&options, &field, integer);
      return true;
    case FieldDescriptor::CPPTYPE_UINT64:
      if (!Parse(text, large)) return false;
      reflection.SetUInt64(&options, &field, large);
      return true;
    default:
      return false;
  }
}

std::vector<std::string> KnownNames() {
  std::vector<std::string> names = {"max_tokens"};
  const google::protobuf::Descriptor& options = *v1::SamplingOptions::descriptor();
  for (int i = 0; i < options.field_count(); ++i)
    if (!options.field(i)->is_repeated()) names.push_back(options.field(i)->name());
  return names;
}

std::string NoSuchOption(const std::string& name) {
  const std::vector<std::string> known = KnownNames();
  const std::string nearest = Nearest(name, known);
  std::string list;
  for (const std::string& other : known) list += (list.empty() ? "" : ", ") + other;
  return "there is no option '" + name +
         (nearest.empty() ? "'; there are " + list : "'; did you mean " + nearest + "?");
}

// "takes a whole number, not 'x'": `text` is no value of the option.
std::string WrongValue(const std::string& name, bool is_whole, const std::string& text) {
  return name + " takes " + (is_whole ? "a whole number" : "a number") + ", or default, not '" +
         text + "'";
}

}  // namespace

v1::ChatMessages Conversation::Messages() const {
  v1::ChatMessages chat;
  if (!system_.empty()) {
    v1::ChatMessage& message = *chat.add_messages();
    message.set_role("system");
    message.set_content(system_);
  }
  for (const v1::ChatMessage& message : messages_) *chat.add_messages() = message;
  return chat;
}

void Conversation::Add(const std::string& role, const std::string& content) {
  v1::ChatMessage message;
  message.set_role(role);
  message.set_content(content);
  Add(std::move(message));
}

std::optional<std::string> Conversation::Set(const std::string& name, const std::string& value) {
  if (name == "max_tokens") {
    uint32_t max_tokens = 0;
    if (value != "default" && !Parse(value, max_tokens))
      return WrongValue(name, /*is_whole=*/true, value);
    turn_.set_max_tokens(max_tokens);
    return std::nullopt;
  }
  const FieldDescriptor* field = v1::SamplingOptions::descriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated()) return NoSuchOption(name);
  v1::SamplingOptions& options = *turn_.mutable_sampling();
  if (value == "default") {
    options.GetReflection()->ClearField(&options, field);
    return std::nullopt;
  }
  if (SetField(*field, value, options)) return std::nullopt;
  return WrongValue(name, field->cpp_type() != FieldDescriptor::CPPTYPE_FLOAT, value);
}

std::string Conversation::Settings() const {
  const std::string sampling = turn_.sampling().ShortDebugString();
  std::string text = sampling.empty() ? "the daemon's defaults" : sampling;
  if (turn_.max_tokens() > 0) text += " max_tokens: " + std::to_string(turn_.max_tokens());
  return text;
}

std::optional<std::string> Conversation::Save(const std::string& path) const {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  if (!google::protobuf::util::MessageToJsonString(Messages(), &json, options).ok())
    return "cannot write the conversation as JSON";
  std::ofstream file(path, std::ios::binary);
  file << json;
  file.close();
  if (file.fail()) return "cannot write '" + path + "': " + std::strerror(errno);
  return std::nullopt;
}

std::optional<std::string> Conversation::Load(const std::string& path) {
  std::string json;
  if (auto problem = ReadFile(path, json))
    return *problem + "; /load takes the file of a conversation that /save wrote";
  v1::ChatMessages chat;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &chat);
  if (!status.ok())
    return "'" + path +
           "' holds no conversation as /save writes it: " + std::string(status.message());
  if (chat.messages().empty()) return "'" + path + "' holds no messages";
  for (int i = 0; i < chat.messages_size(); ++i)
    if (chat.messages(i).role().empty())
      return "message " + std::to_string(i + 1) + " in '" + path + "' has no role";
  system_.clear();
  messages_.assign(chat.messages().begin(), chat.messages().end());
  if (!messages_.empty() && messages_.front().role() == "system") {
    system_ = messages_.front().content();
    messages_.erase(messages_.begin());
  }
  return std::nullopt;
}

}  // namespace forge::client
