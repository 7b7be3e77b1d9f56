#include <algorithm>
#include <array>
#include <ctime>

#include "engine/text/jinja/errors.h"
#include "engine/text/jinja/native.h"

namespace forge::jinja {
namespace {

constexpr uint64_t kMaxRange = 100'000;  // the sandbox's bound

Result<Value> Range(NativeCall& call) {
  std::array<int64_t, 3> bounds = {0, 0, 1};
  for (size_t i = 0; i < 3; ++i) {
    if (!call.Has(i)) continue;
    FORGE_ASSIGN_OR_RETURN(bounds[i], IntegerArgument(call, i, "bound"));
  }
  auto [start, stop, step] = bounds;
  if (!call.Has(1)) {
    stop = start;
    start = 0;
  }
  if (step == 0) return call.runtime.Fail("the step of range() cannot be 0");
  std::vector<Value> items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (items.size() == kMaxRange)
      return call.runtime.Fail("range() is longer than " + std::to_string(kMaxRange));
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return MakeList(std::move(items), call.budget());
}

Result<std::vector<std::pair<Value, Value>>> EntriesOf(NativeCall& call) {
  std::vector<std::pair<Value, Value>> entries;
  for (const Value& given : call.rest.positional) {
    if (!given.Is(Value::Kind::kDict)) return call.runtime.Fail("a dict is needed");
    if (!call.budget().Allocate(given.dict().entries.size() * sizeof(entries[0]))) break;
    entries.insert(entries.end(), given.dict().entries.begin(), given.dict().entries.end());
  }
  for (const auto& [name, value] : call.rest.named) {
    const auto known = std::find_if(entries.begin(), entries.end(), [&name = name](const auto& e) {
      return e.first.Is(Value::Kind::kString) && e.first.bytes() == name;
    });
    call.budget().Spend(entries.size() * sizeof(entries[0]));
    if (known != entries.end()) {
      known->second = value;
    } else {
      entries.emplace_back(MakeString(name, call.budget()), value);
    }
  }
  return entries;
}

Result<Value> Dict(NativeCall& call) {
  if (call.rest.positional.size() > 1) return call.runtime.Fail("'dict' takes one dict at most");
  FORGE_ASSIGN_OR_RETURN(auto entries, EntriesOf(call));
  return MakeDict(std::move(entries), call.budget());
}

Result<Value> Namespace(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(auto entries, EntriesOf(call));
  std::vector<std::pair<std::string, Value>> named;
  for (auto& [key, value] : entries) {
    if (!key.Is(Value::Kind::kString))
      return call.runtime.Fail("the attributes of a namespace must be strings");
    named.emplace_back(key.bytes(), std::move(value));
  }
  return call.runtime.MakeNamespace(std::move(named));
}

Result<Value> RaiseException(NativeCall& call) {
  return RefusedByTemplate(ToText(call[0], call.budget()).bytes);
}

// One directive at a time, so that no width in the format can make it long.
Result<Value> StrftimeNow(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Text format, TextArgument(call, 0, "format"));
  constexpr std::string_view kDirectives = "aAbBcdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%C";
  const std::tm now = call.runtime.now();
  TextBuilder out(call.budget());
  const std::string& text = format.bytes;
  for (size_t i = 0; i < text.size() && !call.budget().exhausted(); ++i) {
    if (text[i] != '%' || i + 1 == text.size()) {
      out.Append(format, i, 1);
      continue;
    }
    std::string directive = "%";
    ++i;
    if ((text[i] == '-' || text[i] == '_' || text[i] == '0' || text[i] == '^') &&
        i + 1 < text.size())
      directive += text[i++];
    if (kDirectives.find(text[i]) == std::string_view::npos)
      return call.runtime.Fail("strftime_now() has an unknown directive");
    directive += text[i];
    std::array<char, 128> buffer;
    const size_t size = std::strftime(buffer.data(), buffer.size(), directive.c_str(), &now);
    out.Append(std::string_view(buffer.data(), size));
  }
  return Value(out.Take());
}

constexpr Native kFunctions[] = {
    {"range", &Range, {"start", "stop", "step"}, 1},
    {"dict", &Dict, {}, 0, true},
    {"namespace", &Namespace, {}, 0, true},
    {"raise_exception", &RaiseException, {"message"}, 1},
    {"strftime_now", &StrftimeNow, {"format"}, 1},
};

}  // namespace

std::span<const Native> Functions() { return kFunctions; }

}  // namespace forge::jinja
