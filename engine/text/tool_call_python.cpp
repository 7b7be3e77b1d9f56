#include "engine/text/tool_call_python.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "engine/text/tool_call_json.h"

namespace forge {
namespace {

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '+';
}

// Writes the literals of Python as JSON. What is neither is written as it is: the reader of the
// JSON refuses it.
class Transcriber {
 public:
  explicit Transcriber(std::string_view text) : text_(text) {}

  bool at_end() const { return i_ == text_.size(); }
  void SkipSpace() { i_ = std::min(text_.find_first_not_of(" \t\r\n", i_), text_.size()); }
  bool Take(char c) {
    if (at_end() || text_[i_] != c) return false;
    ++i_;
    return true;
  }
  std::string_view TakeWord() {
    const size_t begin = i_;
    while (!at_end() && IsWord(text_[i_])) ++i_;
    return text_.substr(begin, i_ - begin);
  }

  // Up to the comma or parenthesis that ends an argument. False if there is none.
  bool TakeValue(std::string& json) {
    size_t depth = 0;
    while (!at_end()) {
      const char c = text_[i_];
      if (depth == 0 && (c == ',' || c == ')')) return true;
      if (c == '"' || c == '\'') {
        if (!TakeString(json)) return false;
      } else if (IsWord(c)) {
        const std::string_view word = TakeWord();
        json += word == "True"    ? "true"
                : word == "False" ? "false"
                : word == "None"  ? "null"
                                  : word;
      } else {
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth-- == 0) return false;
        json += c;
        ++i_;
      }
    }
    return false;
  }

 private:
  bool TakeString(std::string& json) {
    const char quote = text_[i_++];
    json += '"';
    while (!at_end()) {
      const char c = text_[i_++];
      if (c == quote) {
        json += '"';
        return true;
      }
      if (c == '\\' && !at_end()) {
        TakeEscape(json);
      } else {
        AppendCharacter(c, json);
      }
    }
    return false;
  }

  void TakeEscape(std::string& json) {
    const char c = text_[i_++];
    if (c == '\'') {
      json += '\'';
    } else if (c == 'x') {
      json += "\\u00";  // \xNN
    } else {
      json += '\\';
      json += c;
    }
  }

  static void AppendCharacter(char c, std::string& json) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"') {
      json += "\\\"";
    } else if (byte < 0x20) {
      json += "\\u00";
      json += kHex[byte >> 4];
      json += kHex[byte & 15];
    } else {
      json += c;
    }
  }

  std::string_view text_;
  size_t i_ = 0;
};

std::optional<ToolCall> TakeCall(Transcriber& text) {
  ToolCall call;
  call.name = text.TakeWord();
  if (call.name.empty() || !text.Take('(')) return std::nullopt;
  std::string json = "{";
  text.SkipSpace();
  while (!text.Take(')')) {
    const std::string_view key = text.TakeWord();
    text.SkipSpace();
    if (key.empty() || !text.Take('=')) return std::nullopt;
    if (json.size() > 1) json += ", ";
    json += '"';
    json += key;
    json += "\": ";
    if (!text.TakeValue(json)) return std::nullopt;
    if (text.Take(',')) text.SkipSpace();
  }
  std::optional<std::string> arguments = ReadArguments(json + '}');
  if (!arguments) return std::nullopt;
  call.arguments_json = *std::move(arguments);
  return call;
}

}  // namespace

std::optional<std::vector<ToolCall>> ReadPythonCalls(std::string_view text) {
  Transcriber transcriber(text);
  std::vector<ToolCall> calls;
  transcriber.SkipSpace();
  while (!transcriber.at_end()) {
    std::optional<ToolCall> call = TakeCall(transcriber);
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
    transcriber.SkipSpace();
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

std::optional<std::vector<ToolCall>> ReadPythonCallList(std::string_view text) {
  Transcriber transcriber(text);
  transcriber.SkipSpace();
  const bool is_list = transcriber.Take('[');
  std::vector<ToolCall> calls;
  do {
    transcriber.SkipSpace();
    std::optional<ToolCall> call = TakeCall(transcriber);
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
    transcriber.SkipSpace();
  } while (is_list && transcriber.Take(','));
  if (is_list && !transcriber.Take(']')) return std::nullopt;
  transcriber.SkipSpace();
  if (!transcriber.at_end()) return std::nullopt;
  return calls;
}

}  // namespace forge
