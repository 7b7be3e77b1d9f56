#include <algorithm>

#include "engine/text/jinja/native.h"

// Methods of list and dict. Those that would change them are refused, as in the sandbox that
// published templates are rendered in.

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

Result<Value> Mutates(NativeCall& call) {
  return call.runtime.Fail("lists and dicts cannot be changed: build a new one with '+' or dict()");
}

Result<Value> Get(NativeCall& call) {
  const Value* const entry = call.self.dict().Find(call[0], call.budget());
  if (entry != nullptr) return *entry;
  return call.Has(1) ? call[1] : Value();
}

enum class View : uint8_t { kItems, kKeys, kValues };

template <View view>
Result<Value> MakeView(NativeCall& call) {
  std::vector<Value> items;
  for (const auto& [key, value] : call.self.dict().entries) {
    if (!call.budget().Allocate(sizeof(Value))) break;
    if (view == View::kKeys) items.push_back(key);
    if (view == View::kValues) items.push_back(value);
    if (view == View::kItems)
      items.push_back(MakeList({key, value}, call.budget(), Flavor::kTuple));
  }
  return MakeList(std::move(items), call.budget(),
                  view == View::kItems  ? Flavor::kItems
                  : view == View::kKeys ? Flavor::kKeys
                                        : Flavor::kValues);
}

Result<Value> Copy(NativeCall& call) { return call.self; }

Result<Value> Index(NativeCall& call) {
  const std::vector<Value>& items = call.self.list().items;
  for (size_t i = 0; i < items.size(); ++i)
    if (Equals(items[i], call[0], call.budget())) return Value(static_cast<int64_t>(i));
  return call.runtime.Fail("index() does not find the value");
}

Result<Value> Count(NativeCall& call) {
  const std::vector<Value>& items = call.self.list().items;
  return Value(
      static_cast<int64_t>(std::count_if(items.begin(), items.end(), [&call](const Value& item) {
        return Equals(item, call[0], call.budget());
      })));
}

constexpr Native kDictMethods[] = {
    {"get", &Get, {"key", "default"}, 1},
    {"items", &MakeView<View::kItems>},
    {"keys", &MakeView<View::kKeys>},
    {"values", &MakeView<View::kValues>},
    {"copy", &Copy},
    {"update", &Mutates, {}, 0, true},
    {"pop", &Mutates, {}, 0, true},
    {"popitem", &Mutates, {}, 0, true},
    {"setdefault", &Mutates, {}, 0, true},
    {"clear", &Mutates, {}, 0, true},
};

constexpr Native kListMethods[] = {
    {"index", &Index, {"value"}, 1},
    {"count", &Count, {"value"}, 1},
    {"copy", &Copy},
    {"append", &Mutates, {}, 0, true},
    {"extend", &Mutates, {}, 0, true},
    {"insert", &Mutates, {}, 0, true},
    {"pop", &Mutates, {}, 0, true},
    {"remove", &Mutates, {}, 0, true},
    {"reverse", &Mutates, {}, 0, true},
    {"sort", &Mutates, {}, 0, true},
    {"clear", &Mutates, {}, 0, true},
};

}  // namespace

std::span<const Native> DictMethods() { return kDictMethods; }
std::span<const Native> ListMethods() { return kListMethods; }

}  // namespace forge::jinja
