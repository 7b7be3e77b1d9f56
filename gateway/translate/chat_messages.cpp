#include "gateway/translate/chat_messages.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "gateway/translate/call_names.h"
#include "gateway/translate/result_parts.h"

namespace forge::gateway {

namespace {

// The texts of a content that is an array, one behind the other: what clients themselves make of
// them (Continue, core/llm/llms/OpenAI.ts, _convertMessage).
Result<std::string> ReadParts(const Json& parts, const std::string& path, bool is_result) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = path + "[" + std::to_string(i) + "]";
    if (!parts[i].is_object()) return BadField(part_path, "must be an object");
    const Fields part{parts[i], part_path + "."};
    FORGE_ASSIGN_OR_RETURN(const auto type, part.Text("type"));
    const std::string kind = type.value_or("");
    if (const std::string_view words = PartInWords(kind); is_result && !words.empty()) {
      text += words;
      continue;
    }
    if (kind != "text" && kind != "refusal")
      return BadField(part_path + ".type",
                      "is '" + kind.substr(0, 100) + "', but only text is supported");
    FORGE_ASSIGN_OR_RETURN(const auto value, part.Text(kind == "text" ? "text" : "refusal"));
    if (!value) return BadField(part_path + "." + kind, "is missing");
    text += *value;
  }
  return text;
}

Result<std::string> ReadContent(const Fields& message, bool is_result) {
  const Json* const content = message.Find("content");
  if (content == nullptr) return std::string();  // of an assistant that only calls tools
  if (content->is_string()) return content->get<std::string>();
  const std::string path = message.NameOf("content");
  if (content->is_array()) return ReadParts(*content, path, is_result);
  return BadField(path, "must be a string or an array of parts");
}

Status ReadCall(const Json& json, const std::string& path, v1::ChatMessage& message) {
  if (!json.is_object()) return BadField(path, "must be an object");
  const Fields call{json, path + "."};
  FORGE_ASSIGN_OR_RETURN(const auto id, call.Text("id"));
  FORGE_ASSIGN_OR_RETURN(const Json* const function, call.Object("function"));
  if (function == nullptr) return BadField(path + ".function", "is missing");
  const Fields fields{*function, path + ".function."};
  FORGE_ASSIGN_OR_RETURN(const auto name, fields.Text("name"));
  if (!name || name->empty()) return BadField(path + ".function.name", "is missing");
  FORGE_ASSIGN_OR_RETURN(const auto arguments, fields.Text("arguments"));
  v1::ToolCall& read = *message.add_tool_calls();
  read.set_id(id.value_or(""));
  read.set_name(*name);
  read.set_arguments_json(!arguments || arguments->empty() ? "{}" : *arguments);
  return Status();
}

Result<std::string> ReadRole(const Fields& message) {
  FORGE_ASSIGN_OR_RETURN(const auto role, message.Text("role"));
  if (role == "developer") return std::string("system");  // OpenAI's newer name for it
  constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};
  if (role && std::ranges::find(kRoles, *role) != kRoles.end()) return *role;
  return BadField(message.NameOf("role"),
                  (role ? "is '" + role->substr(0, 100) + "', but" : std::string()) +
                      " must be system, developer, user, assistant or tool");
}

Status ReadAssistant(const Fields& message, v1::ChatMessage& read) {
  if (message.Find("function_call") != nullptr)
    return BadField(message.NameOf("function_call"), "is not supported: use tool_calls");
  // What servers call the thoughts before an answer, and clients send back.
  for (const char* const name : {"reasoning", "reasoning_content"}) {
    FORGE_ASSIGN_OR_RETURN(const auto reasoning, message.Text(name));
    if (reasoning) read.set_reasoning(*reasoning);
  }
  FORGE_ASSIGN_OR_RETURN(const Json* const calls, message.Array("tool_calls"));
  for (size_t i = 0; calls != nullptr && i < calls->size(); ++i)
    FORGE_TRY(
        ReadCall((*calls)[i], message.NameOf("tool_calls") + "[" + std::to_string(i) + "]", read));
  return Status();
}

Status ReadResult(const Fields& message, const CallNames& calls, v1::ChatMessage& read) {
  FORGE_ASSIGN_OR_RETURN(const auto id, message.Text("tool_call_id"));
  FORGE_ASSIGN_OR_RETURN(const auto name, message.Text("name"));
  read.set_tool_call_id(id.value_or(""));
  read.set_name(name ? *name : calls.Find(read.tool_call_id()));
  return Status();
}

}  // namespace

Status ReadMessages(const Fields& body, v1::ChatMessages& chat) {
  FORGE_ASSIGN_OR_RETURN(const Json* const messages, body.Array("messages"));
  if (messages == nullptr || messages->empty())
    return BadField("messages", "is missing or empty; an answer needs a question");
  CallNames calls;
  for (size_t i = 0; i < messages->size(); ++i) {
    const std::string path = "messages[" + std::to_string(i) + "]";
    if (!(*messages)[i].is_object()) return BadField(path, "must be an object");
    const Fields message{(*messages)[i], path + "."};
    v1::ChatMessage read;
    FORGE_ASSIGN_OR_RETURN(*read.mutable_role(), ReadRole(message));
    FORGE_ASSIGN_OR_RETURN(*read.mutable_content(), ReadContent(message, read.role() == "tool"));
    if (read.role() == "assistant") FORGE_TRY(ReadAssistant(message, read));
    if (read.role() == "tool") FORGE_TRY(ReadResult(message, calls, read));
    for (const v1::ToolCall& call : read.tool_calls()) calls.Add(call);
    *chat.add_messages() = std::move(read);
  }
  return Status();
}

}  // namespace forge::gateway
