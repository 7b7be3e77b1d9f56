#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/runtime.h"

// What templates can call: functions, filters, tests and methods, each a row of a table.
namespace forge::jinja {

// One call of a native: its arguments by parameter.
struct NativeCall {
  Runtime& runtime;
  const Value& self;                // what a filter, test or method works on
  std::vector<Value> by_parameter;  // undefined where not given
  std::vector<bool> is_given;
  Arguments rest;  // what no parameter takes, of variadic ones

  Budget& budget() const { return runtime.budget(); }
  bool Has(size_t i) const { return is_given[i]; }
  const Value& operator[](size_t i) const { return by_parameter[i]; }
};

constexpr size_t kMaxParameters = 5;

struct Native {
  std::string_view name;
  Result<Value> (*function)(NativeCall& call);
  std::array<std::string_view, kMaxParameters> parameters = {};
  size_t n_required = 0;
  bool is_variadic = false;
};

// Null if there is none of this name.
const Native* FindFilter(std::string_view name);
const Native* FindTest(std::string_view name);
const Native* FindFunction(std::string_view name);
// Of a value's kind.
const Native* FindMethod(const Value& value, std::string_view name);

// Calls with Python's rules for arguments.
Result<Value> CallNative(const Native& native, Runtime& runtime, const Value& self,
                         const Arguments& arguments);

// The tables.
std::span<const Native> StringFilters();
std::span<const Native> SequenceFilters();
std::span<const Native> ValueFilters();
std::span<const Native> Tests();
std::span<const Native> Functions();
std::span<const Native> StringMethods();
std::span<const Native> MoreStringMethods();
std::span<const Native> ListMethods();
std::span<const Native> DictMethods();
std::span<const Native> LoopMethods();

// --- What natives share

// The elements of a value as Python's iteration gives them: characters of a string, keys of a dict.
// An error for what has none.
Result<std::vector<Value>> Iterate(Runtime& runtime, const Value& value);
// As Python's str(): what `{{ value }}` prints.
Text ToText(const Value& value, Budget& budget);
// A float as Python prints it: "1.0", "1e+16".
std::string FloatText(double value);
// As Python's repr().
void AppendRepr(const Value& value, TextBuilder& out, Budget& budget);
// As json.dumps with ensure_ascii, separators and indent. An error for what JSON has not.
struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  bool is_indented = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
Result<Text> ToJson(const Value& value, const JsonStyle& style, Runtime& runtime);
// The arguments of a parameter as a number or string; an error naming the parameter otherwise.
Result<int64_t> IntegerArgument(const NativeCall& call, size_t i, std::string_view name);
Result<Text> TextArgument(const NativeCall& call, size_t i, std::string_view name);

// a op b, as Python computes it.
Result<Value> Compute(Runtime& runtime, Operator op, const Value& a, const Value& b);
// Whether a op b holds.
Result<bool> Compare(Runtime& runtime, Operator op, const Value& a, const Value& b);
// `format % args`.
Result<Value> FormatPercent(Runtime& runtime, const Text& format, const Value& args);
// value[start:stop:step]; the bounds are integers or None.
Result<Value> Slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                    const Value& step);
// The attribute that "a.b.0" names. An error where one on the way is undefined.
Result<Value> GetPath(Runtime& runtime, const Value& value, const Value& path);

}  // namespace forge::jinja
