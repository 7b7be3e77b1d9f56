#include "engine/text/jinja/native.h"

#include <algorithm>
#include <span>

namespace forge::jinja {
namespace {

Status ArgumentError(Runtime& runtime, const Native& native, const std::string& problem) {
  return runtime.Fail("'" + std::string(native.name) + "' " + problem);
}

size_t CountParameters(const Native& native) {
  const auto end =
      std::find(native.parameters.begin(), native.parameters.end(), std::string_view());
  return static_cast<size_t>(end - native.parameters.begin());
}

const Native* FindIn(std::span<const Native> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [name](const Native& native) { return native.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

const Native* FindFilter(std::string_view name) {
  for (const std::span<const Native> table : {StringFilters(), SequenceFilters(), ValueFilters()})
    if (const Native* const found = FindIn(table, name)) return found;
  return nullptr;
}

const Native* FindTest(std::string_view name) { return FindIn(Tests(), name); }

const Native* FindFunction(std::string_view name) { return FindIn(Functions(), name); }

const Native* FindMethod(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Value::Kind::kString: {
      const Native* const found = FindIn(StringMethods(), name);
      return found != nullptr ? found : FindIn(MoreStringMethods(), name);
    }
    case Value::Kind::kList:
      return FindIn(ListMethods(), name);
    case Value::Kind::kDict:
      return FindIn(DictMethods(), name);
    case Value::Kind::kLoop:
      return FindIn(LoopMethods(), name);
    default:
      return nullptr;
  }
}

Result<Value> CallNative(const Native& native, Runtime& runtime, const Value& self,
                         const Arguments& arguments) {
  const size_t n_parameters = CountParameters(native);
  NativeCall call{runtime,
                  self,
                  std::vector<Value>(n_parameters, Value::MakeUndefined("absent")),
                  std::vector<bool>(n_parameters, false),
                  {}};
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    if (i < n_parameters) {
      call.by_parameter[i] = arguments.positional[i];
      call.is_given[i] = true;
    } else if (native.is_variadic) {
      call.rest.positional.push_back(arguments.positional[i]);
    } else {
      return ArgumentError(runtime, native,
                           "takes at most " + std::to_string(n_parameters) + " argument(s)");
    }
  }
  for (const auto& [name, value] : arguments.named) {
    const auto parameter =
        std::find(native.parameters.begin(), native.parameters.begin() + n_parameters, name);
    const auto i = static_cast<size_t>(parameter - native.parameters.begin());
    if (i == n_parameters) {
      if (!native.is_variadic)
        return ArgumentError(runtime, native, "takes no argument '" + name.substr(0, 100) + "'");
      call.rest.named.emplace_back(name, value);
    } else if (call.is_given[i]) {
      return ArgumentError(runtime, native, "got two values for '" + name + "'");
    } else {
      call.by_parameter[i] = value;
      call.is_given[i] = true;
    }
  }
  for (size_t i = 0; i < native.n_required; ++i)
    if (!call.is_given[i])
      return ArgumentError(runtime, native,
                           "needs the argument '" + std::string(native.parameters[i]) + "'");
  return native.function(call);
}

Result<int64_t> IntegerArgument(const NativeCall& call, size_t i, std::string_view name) {
  if (call[i].IsInteger()) return call[i].integer();
  return call.runtime.Fail("argument '" + std::string(name) + "' must be an integer, not " +
                           std::string(call[i].TypeName()));
}

Result<Text> TextArgument(const NativeCall& call, size_t i, std::string_view name) {
  if (call[i].Is(Value::Kind::kString)) {
    call.budget().Spend(call[i].bytes().size());
    return call[i].text();
  }
  return call.runtime.Fail("argument '" + std::string(name) + "' must be a string, not " +
                           std::string(call[i].TypeName()));
}

Result<Value> GetPath(Runtime& runtime, const Value& value, const Value& path) {
  if (!path.Is(Value::Kind::kString)) return runtime.GetItem(value, path);
  const std::string& names = path.bytes();
  Value current = value;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find('.', begin), names.size());
    const std::string_view name = std::string_view(names).substr(begin, end - begin);
    const bool is_number =
        !name.empty() && name.size() < 10 &&
        std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    const Value key = is_number ? Value(int64_t{std::stol(std::string(name))})
                                : MakeString(name, runtime.budget());
    if (current.Is(Value::Kind::kUndefined)) return runtime.Fail(current.why_undefined());
    current = runtime.GetItem(current, key);
    begin = end + 1;
  }
  return current;
}

}  // namespace forge::jinja
