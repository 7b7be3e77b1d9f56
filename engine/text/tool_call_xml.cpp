#include "engine/text/tool_call_xml.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/tool_call_json.h"

namespace forge {
namespace {

using jinja::Value;

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kEndParameter = "</parameter>";

// How a function and its parameters are named.
struct Tags {
  std::string_view function;
  std::string_view parameter;
  std::string_view end_name;  // of either
  std::string_view end_function;
};
constexpr Tags kFunctionTags = {"<function=", "<parameter=", ">", "</function>"};
constexpr Tags kInvokeTags = {"<invoke name=\"", "<parameter name=\"", "\">", "</invoke>"};

// Reads a text from its start, token by token.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  void SkipSpace() { rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size())); }
  void Skip(size_t size) { rest_.remove_prefix(size); }
  bool Take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    Skip(token.size());
    return true;
  }
  // What stands before `token`, which is passed as well; nullopt if there is none.
  std::optional<std::string_view> TakeUntil(std::string_view token) {
    const size_t end = rest_.find(token);
    if (end == rest_.npos) return std::nullopt;
    const std::string_view text = rest_.substr(0, end);
    Skip(end + token.size());
    return text;
  }

 private:
  std::string_view rest_;
};

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// The arguments of one call, by name in the order of their first mention.
class Arguments {
 public:
  Arguments(std::string_view function, const StringParameters& strings)
      : function_(function), strings_(strings), runtime_(jinja::Limits(), std::tm{}) {}

  void Set(std::string_view name, std::string_view text) {
    Value value = Read(name, text);
    const auto [place, is_new] = places_.emplace(name, entries_.size());
    if (is_new) {
      entries_.emplace_back(Value(name), std::move(value));
    } else {
      entries_[place->second].second = std::move(value);
    }
  }

  std::optional<ToolCall> Call() {
    const Value dict = jinja::MakeDict(std::move(entries_), runtime_.budget());
    Result<jinja::Text> json = jinja::ToJson(dict, {}, runtime_);
    if (!json.ok() || runtime_.budget().exhausted()) return std::nullopt;
    return ToolCall{.id = {}, .name = function_, .arguments_json = std::move(json->bytes)};
  }

 private:
  Value Read(std::string_view name, std::string_view text) {
    if (!strings_.contains({function_, std::string(name)})) {
      Result<Value> value = jinja::ReadJson(text, runtime_.budget());
      if (value.ok()) return std::move(value).value();
      // Templates that print arguments as Python does teach these.
      if (text == "True" || text == "False") return Value(text == "True");
      if (text == "None") return Value();
    }
    return Value(text);
  }

  const std::string function_;
  const StringParameters& strings_;
  jinja::Runtime runtime_;
  std::map<std::string, size_t, std::less<>> places_;
  std::vector<std::pair<Value, Value>> entries_;
};

// The value before the end of its parameter, which is passed. The text of a value may itself hold
// such an end: only one that another tag follows counts.
std::optional<std::string_view> TakeValue(Cursor& cursor, const Tags& tags) {
  const std::string_view text = cursor.rest();
  for (size_t end = text.find(kEndParameter); end != text.npos;
       end = text.find(kEndParameter, end + 1)) {
    Cursor after(text.substr(end + kEndParameter.size()));
    after.SkipSpace();
    if (!after.rest().starts_with(tags.parameter) && !after.rest().starts_with(tags.end_function))
      continue;
    std::string_view value = text.substr(0, end);
    if (value.starts_with('\n')) value.remove_prefix(1);
    if (value.ends_with('\n')) value.remove_suffix(1);
    cursor = after;
    return value;
  }
  return std::nullopt;
}

std::optional<ToolCall> TakeFunction(Cursor& cursor, const Tags& tags,
                                     const StringParameters& strings) {
  if (!cursor.Take(tags.function)) return std::nullopt;
  const std::optional<std::string_view> name = cursor.TakeUntil(tags.end_name);
  if (!name || !IsToolName(*name)) return std::nullopt;
  Arguments arguments(*name, strings);
  cursor.SkipSpace();
  while (cursor.Take(tags.parameter)) {
    const std::optional<std::string_view> key = cursor.TakeUntil(tags.end_name);
    if (!key || key->empty()) return std::nullopt;
    const std::optional<std::string_view> value = TakeValue(cursor, tags);
    if (!value) return std::nullopt;
    arguments.Set(*key, *value);
  }
  if (!cursor.Take(tags.end_function)) return std::nullopt;
  cursor.SkipSpace();
  return arguments.Call();
}

std::optional<std::vector<ToolCall>> ReadCalls(std::string_view text, const Tags& tags,
                                               const StringParameters& strings) {
  Cursor cursor(text);
  cursor.SkipSpace();
  std::vector<ToolCall> calls;
  while (!cursor.at_end()) {
    std::optional<ToolCall> call = TakeFunction(cursor, tags, strings);
    if (!call) return std::nullopt;
    calls.push_back(*std::move(call));
  }
  if (calls.empty()) return std::nullopt;
  return calls;
}

}  // namespace

std::optional<std::vector<ToolCall>> ReadFunctionCalls(std::string_view text,
                                                       const StringParameters& strings) {
  return ReadCalls(text, kFunctionTags, strings);
}

std::optional<std::vector<ToolCall>> ReadInvokeCalls(std::string_view text,
                                                     const StringParameters& strings) {
  return ReadCalls(text, kInvokeTags, strings);
}

std::optional<ToolCall> ReadArgKeyCall(std::string_view text, const StringParameters& strings) {
  const size_t name_end = std::min(text.find('<'), text.size());
  const std::string_view name = Trim(text.substr(0, name_end));
  if (!IsToolName(name)) return std::nullopt;
  Arguments arguments(name, strings);
  Cursor cursor(text.substr(name_end));
  while (!cursor.at_end()) {
    if (!cursor.Take("<arg_key>")) return std::nullopt;
    const std::optional<std::string_view> key = cursor.TakeUntil("</arg_key>");
    cursor.SkipSpace();
    if (!key || key->empty() || !cursor.Take("<arg_value>")) return std::nullopt;
    const std::optional<std::string_view> value = cursor.TakeUntil("</arg_value>");
    if (!value) return std::nullopt;
    arguments.Set(*key, *value);
    cursor.SkipSpace();
  }
  return arguments.Call();
}

}  // namespace forge
