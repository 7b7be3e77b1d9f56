#include "engine/text/tool_call_json.h"

#include <ctime>
#include <string>
#include <utility>

#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"

namespace forge {
namespace {

using jinja::Value;
using Kind = Value::Kind;

class CallReader {
 public:
  explicit CallReader(jinja::Runtime& runtime) : runtime_(runtime) {}

  std::optional<ToolCall> Read(const Value& value, std::string_view arguments_name) {
    const Value* const name = Field(value, "name");
    if (name == nullptr || !name->Is(Kind::kString) || name->bytes().empty()) return std::nullopt;
    const Value* arguments = Field(value, arguments_name);
    if (arguments == nullptr) arguments = Field(value, "arguments");
    if (arguments == nullptr || !arguments->Is(Kind::kDict)) return std::nullopt;
    const Result<jinja::Text> json = jinja::ToJson(*arguments, {}, runtime_);
    if (!json.ok()) return std::nullopt;
    ToolCall call;
    call.name = name->bytes();
    call.arguments_json = json->bytes;
    const Value* const id = Field(value, "id");
    if (id != nullptr && id->Is(Kind::kString)) call.id = id->bytes();
    return call;
  }

 private:
  const Value* Field(const Value& value, std::string_view name) {
    return value.Is(Kind::kDict) ? value.dict().Find(name, runtime_.budget()) : nullptr;
  }

  jinja::Runtime& runtime_;
};

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

std::optional<std::string> ReadArguments(std::string_view json) {
  jinja::Runtime runtime(jinja::Limits(), std::tm{});
  const Result<Value> value = jinja::ReadJson(json, runtime.budget());
  if (!value.ok() || !value->Is(Kind::kDict)) return std::nullopt;
  Result<jinja::Text> text = jinja::ToJson(*value, {}, runtime);
  if (!text.ok()) return std::nullopt;
  return std::move(text->bytes);
}

std::optional<std::vector<ToolCall>> ReadToolCalls(std::string_view json, ToolFormat format) {
  jinja::Runtime runtime(jinja::Limits(), std::tm{});
  CallReader reader(runtime);
  std::vector<Value> values;
  for (const std::string_view object :
       format == ToolFormat::kLlama3 ? SplitObjects(json) : std::vector<std::string_view>{json}) {
    Result<Value> value = jinja::ReadJson(object, runtime.budget());
    if (!value.ok()) return std::nullopt;
    if (format == ToolFormat::kMistral) {
      if (!value->Is(Kind::kList)) return std::nullopt;
      values = value->list().items;
    } else {
      values.push_back(std::move(value).value());
    }
  }
  std::vector<ToolCall> calls;
  for (const Value& value : values) {
    std::optional<ToolCall> call =
        reader.Read(value, format == ToolFormat::kLlama3 ? "parameters" : "arguments");
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

}  // namespace forge
