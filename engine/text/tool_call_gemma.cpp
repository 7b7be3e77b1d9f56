#include "engine/text/tool_call_gemma.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "engine/text/tool_call_json.h"
#include "engine/text/tool_format.h"

namespace forge {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

void AppendJsonString(std::string_view text, std::string& json) {
  constexpr std::string_view kHex = "0123456789abcdef";
  json += '"';
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') json += '\\';
    if (byte < 0x20) {
      json += "\\u00";
      json += kHex[byte >> 4];
      json += kHex[byte & 15];
    } else {
      json += c;
    }
  }
  json += '"';
}

// Writes a value as JSON. What is none is written as it is: the reader of the JSON refuses it.
class Transcriber {
 public:
  explicit Transcriber(std::string_view text) : rest_(text) {}

  // nullopt for a string or a bare key without an end.
  std::optional<std::string> Transcribe() {
    while (!rest_.empty())
      if (!TakeNext()) return std::nullopt;
    return std::move(json_);
  }

 private:
  bool TakeNext() {
    const char c = rest_.front();
    if (rest_.starts_with(kGemmaQuote)) return TakeGemmaString();
    if (c == '"') return TakeJsonString();
    if (kSpace.find(c) == kSpace.npos && std::string_view("{}[],:").find(c) == kSpace.npos)
      return TakeWord();
    if (c == '{' || c == '[') {
      opened_ += c;
    } else if ((c == '}' || c == ']') && !opened_.empty()) {
      opened_.pop_back();
    }
    if (kSpace.find(c) == kSpace.npos) is_key_ = (c == '{' || c == ',') && opened_.ends_with('{');
    json_ += c;
    rest_.remove_prefix(1);
    return true;
  }

  bool TakeGemmaString() {
    rest_.remove_prefix(kGemmaQuote.size());
    const size_t end = rest_.find(kGemmaQuote);
    if (end == rest_.npos) return false;
    AppendJsonString(rest_.substr(0, end), json_);
    rest_.remove_prefix(end + kGemmaQuote.size());
    is_key_ = false;
    return true;
  }

  bool TakeJsonString() {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return false;
    json_ += rest_.substr(0, end + 1);
    rest_.remove_prefix(end + 1);
    is_key_ = false;
    return true;
  }

  // A bare key, up to the colon, or a literal.
  bool TakeWord() {
    const size_t end = rest_.find_first_of(is_key_ ? ":" : ",]} \t\r\n");
    if (end == rest_.npos) return false;
    const std::string_view word = rest_.substr(0, end);
    if (is_key_) {
      AppendJsonString(word.substr(0, word.find_last_not_of(kSpace) + 1), json_);
    } else {
      json_ += word;
    }
    rest_.remove_prefix(end);
    is_key_ = false;
    return true;
  }

  std::string_view rest_;
  std::string json_;
  std::string opened_;   // the brackets around
  bool is_key_ = false;  // a key of a dict is next
};

}  // namespace

std::optional<ToolCall> ReadGemmaCall(std::string_view text) {
  constexpr std::string_view kCall = "call:";
  if (!text.starts_with(kCall)) return std::nullopt;
  text.remove_prefix(kCall.size());
  const size_t object = std::min(text.find('{'), text.size());
  ToolCall call;
  call.name = text.substr(0, object);
  if (!IsToolName(call.name)) return std::nullopt;
  const std::optional<std::string> json = Transcriber(text.substr(object)).Transcribe();
  std::optional<std::string> arguments = json ? ReadArguments(*json) : std::nullopt;
  if (!arguments) return std::nullopt;
  call.arguments_json = *std::move(arguments);
  return call;
}

}  // namespace forge
