#include "engine/text/tool_call_json.h"

#include <algorithm>
#include <ctime>
#include <string>
#include <utility>

#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/tool_call_gemma.h"
#include "engine/text/tool_call_python.h"
#include "engine/text/tool_call_xml.h"

namespace forge {
namespace {

using jinja::Value;
using Kind = Value::Kind;

// The keys of a call's object. Command numbers the calls of a turn, which is no id.
struct CallKeys {
  std::string_view name = "name";
  std::string_view arguments = "arguments";
  std::string_view id = "id";
};

constexpr CallKeys KeysOf(ToolFormat format) {
  if (format == ToolFormat::kLlama3) return {.arguments = "parameters"};
  if (format == ToolFormat::kCommand)
    return {.name = "tool_name", .arguments = "parameters", .id = ""};
  return {};
}

class CallReader {
 public:
  CallReader(CallKeys keys, jinja::Runtime& runtime) : keys_(keys), runtime_(runtime) {}

  std::optional<ToolCall> Read(const Value& value) {
    const Value* const name = Field(value, keys_.name);
    if (name == nullptr || !name->Is(Kind::kString) || name->bytes().empty()) return std::nullopt;
    const Value* arguments = Field(value, keys_.arguments);
    if (arguments == nullptr) arguments = Field(value, "arguments");
    if (arguments == nullptr || !arguments->Is(Kind::kDict)) return std::nullopt;
    const Result<jinja::Text> json = jinja::ToJson(*arguments, {}, runtime_);
    if (!json.ok()) return std::nullopt;
    ToolCall call;
    call.name = name->bytes();
    call.arguments_json = json->bytes;
    const Value* const id = keys_.id.empty() ? nullptr : Field(value, keys_.id);
    if (id != nullptr && id->Is(Kind::kString)) call.id = id->bytes();
    return call;
  }

 private:
  const Value* Field(const Value& value, std::string_view name) {
    return value.Is(Kind::kDict) ? value.dict().Find(name, runtime_.budget()) : nullptr;
  }

  const CallKeys keys_;
  jinja::Runtime& runtime_;
};

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// The end of what opens with a brace at `begin`, as braces outside of strings tell.
size_t ObjectEnd(std::string_view json, size_t begin) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = begin; i < json.size(); ++i) {
    if (in_string && json[i] == '\\') {
      ++i;
    } else if (json[i] == '"') {
      in_string = !in_string;
    } else if (!in_string && json[i] == '{') {
      ++depth;
    } else if (!in_string && json[i] == '}' && --depth == 0) {
      return i + 1;
    }
  }
  return json.size();
}

// Llama 3 separates several calls with semicolons.
std::vector<std::string_view> SplitObjects(std::string_view json) {
  std::vector<std::string_view> objects;
  int depth = 0;
  bool in_string = false;
  size_t begin = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    if (in_string) {
      if (json[i] == '\\') {
        ++i;
      } else if (json[i] == '"') {
        in_string = false;
      }
      continue;
    }
    if (json[i] == '"') in_string = true;
    if (json[i] == '{') ++depth;
    if (json[i] == '}') --depth;
    if (json[i] != ';' || depth != 0) continue;
    objects.push_back(json.substr(begin, i - begin));
    begin = i + 1;
  }
  objects.push_back(json.substr(begin));
  return objects;
}

}  // namespace

bool IsToolName(std::string_view name) {
  return !name.empty() && name.find_first_of(" \t\r\n[]{}<>\"") == name.npos;
}

std::optional<std::string> ReadArguments(std::string_view json) {
  jinja::Runtime runtime(jinja::Limits(), std::tm{});
  const Result<Value> value = jinja::ReadJson(json, runtime.budget());
  if (!value.ok() || !value->Is(Kind::kDict)) return std::nullopt;
  Result<jinja::Text> text = jinja::ToJson(*value, {}, runtime);
  if (!text.ok()) return std::nullopt;
  return std::move(text->bytes);
}

namespace {

bool IsList(ToolFormat format) {
  return format == ToolFormat::kMistral || format == ToolFormat::kMistralNamed ||
         format == ToolFormat::kGranite || format == ToolFormat::kCommand ||
         format == ToolFormat::kLfm2;
}

// {...}, [{...}, ...] where the format has a list, or in Llama 3's {...}; {...}
std::optional<std::vector<ToolCall>> ReadJsonCalls(std::string_view json, ToolFormat format) {
  jinja::Runtime runtime(jinja::Limits(), std::tm{});
  CallReader reader(KeysOf(format), runtime);
  std::vector<Value> values;
  for (const std::string_view object :
       format == ToolFormat::kLlama3 ? SplitObjects(json) : std::vector<std::string_view>{json}) {
    Result<Value> value = jinja::ReadJson(object, runtime.budget());
    if (!value.ok()) return std::nullopt;
    if (IsList(format)) {
      if (!value->Is(Kind::kList)) return std::nullopt;
      values = value->list().items;
    } else {
      values.push_back(std::move(value).value());
    }
  }
  std::vector<ToolCall> calls;
  for (const Value& value : values) {
    std::optional<ToolCall> call = reader.Read(value);
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

// NAME[ARGS]{...}, or NAME[CALL_ID]ID[ARGS]{...}; older tokenizers leave out [ARGS]. More of them
// follow after [TOOL_CALLS].
std::optional<std::vector<ToolCall>> ReadNamedCalls(std::string_view text) {
  constexpr std::string_view kArgs = "[ARGS]";
  constexpr std::string_view kCallId = "[CALL_ID]";
  constexpr std::string_view kNext = "[TOOL_CALLS]";
  std::vector<ToolCall> calls;
  while (true) {
    const size_t object = text.find('{');
    if (object == text.npos) return std::nullopt;
    std::string_view head = Trim(text.substr(0, object));
    if (head.ends_with(kArgs)) head.remove_suffix(kArgs.size());
    ToolCall call;
    const size_t id = head.find(kCallId);
    if (id != head.npos) call.id = Trim(head.substr(id + kCallId.size()));
    call.name = Trim(head.substr(0, id));
    if (!IsToolName(call.name)) return std::nullopt;
    const size_t end = ObjectEnd(text, object);
    std::optional<std::string> arguments = ReadArguments(text.substr(object, end - object));
    if (!arguments) return std::nullopt;
    call.arguments_json = *std::move(arguments);
    calls.push_back(std::move(call));
    text = Trim(text.substr(end));
    if (text.empty()) return calls;
    if (!text.starts_with(kNext)) return std::nullopt;
    text.remove_prefix(kNext.size());
  }
}

// NAME<｜tool▁sep｜>{...}, or function<｜tool▁sep｜>NAME and the object in a fenced block.
std::optional<ToolCall> ReadDeepSeekCall(std::string_view text) {
  constexpr std::string_view kFence = "```";
  constexpr std::string_view kLanguage = "json";
  const size_t separator = text.find(kDeepSeekSeparator);
  if (separator == text.npos) return std::nullopt;
  ToolCall call;
  call.name = Trim(text.substr(0, separator));
  std::string_view object = Trim(text.substr(separator + kDeepSeekSeparator.size()));
  if (!object.starts_with('{')) {
    const size_t fence = object.find(kFence);
    if (fence == object.npos || !object.ends_with(kFence)) return std::nullopt;
    call.name = Trim(object.substr(0, fence));
    object.remove_prefix(fence + kFence.size());
    if (object.starts_with(kLanguage)) object.remove_prefix(kLanguage.size());
    object.remove_suffix(std::min(object.size(), kFence.size()));
  }
  std::optional<std::string> arguments = ReadArguments(object);
  if (!IsToolName(call.name) || !arguments) return std::nullopt;
  call.arguments_json = *std::move(arguments);
  return call;
}

std::optional<std::vector<ToolCall>> ReadDeepSeekCalls(std::string_view text) {
  std::vector<ToolCall> calls;
  while (!text.empty()) {
    const size_t end = text.find(kDeepSeekEndCall);
    if (!text.starts_with(kDeepSeekCall) || end == text.npos) return std::nullopt;
    std::optional<ToolCall> call =
        ReadDeepSeekCall(text.substr(kDeepSeekCall.size(), end - kDeepSeekCall.size()));
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
    text = Trim(text.substr(end + kDeepSeekEndCall.size()));
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

std::optional<std::vector<ToolCall>> OneCall(std::optional<ToolCall> call) {
  if (!call) return std::nullopt;
  return std::vector<ToolCall>{*std::move(call)};
}

}  // namespace

std::optional<std::vector<ToolCall>> ReadToolCalls(std::string_view text, ToolFormat format,
                                                   const StringParameters& strings) {
  const std::string_view body = Trim(text);
  switch (format) {
    case ToolFormat::kQwen:
    case ToolFormat::kQwenCoder:
    case ToolFormat::kSeed:
      if (body.starts_with('<')) return ReadFunctionCalls(body, strings);
      break;
    case ToolFormat::kGlm:
      if (!body.starts_with('{')) return OneCall(ReadArgKeyCall(body, strings));
      break;
    case ToolFormat::kMiniMax:
      return ReadInvokeCalls(body, strings);
    case ToolFormat::kOlmo:
      return ReadPythonCalls(body);
    case ToolFormat::kLfm2:
      if (!body.ends_with("}]")) return ReadPythonCallList(body);
      break;
    case ToolFormat::kDeepSeek:
      return ReadDeepSeekCalls(body);
    case ToolFormat::kGemma4:
      return OneCall(ReadGemmaCall(body));
    case ToolFormat::kMistral:
    case ToolFormat::kMistralNamed:
      if (!body.starts_with('[')) return ReadNamedCalls(body);
      break;
    default:
      break;
  }
  return ReadJsonCalls(text, format);
}

}  // namespace forge
