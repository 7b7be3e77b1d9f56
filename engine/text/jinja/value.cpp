#include "engine/text/jinja/value.h"

#include <algorithm>
#include <cmath>

namespace forge::jinja {
namespace {

constexpr uint64_t kNodeBytes = 64;  // of a list or dict besides its elements, about

template <typename Item>
uint64_t ElementBytes(size_t n) {
  return kNodeBytes + n * sizeof(Item);
}

bool ListsEqual(const ListData& a, const ListData& b, Budget& budget) {
  if ((a.flavor == Flavor::kTuple) != (b.flavor == Flavor::kTuple)) return false;
  if (a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!Equals(a.items[i], b.items[i], budget)) return false;
  return true;
}

bool DictsEqual(const DictData& a, const DictData& b, Budget& budget) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* const other = b.Find(key, budget);
    if (other == nullptr || !Equals(value, *other, budget)) return false;
  }
  return true;
}

}  // namespace

Value Value::MakeUndefined(std::string what) {
  return Value(Undefined{std::make_shared<const std::string>(std::move(what))});
}

int64_t Value::integer() const {
  return Is(Kind::kBool) ? static_cast<int64_t>(boolean()) : std::get<int64_t>(data_);
}

double Value::number() const {
  return Is(Kind::kFloat) ? std::get<double>(data_) : static_cast<double>(integer());
}

bool Value::IsTrue() const {
  switch (kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
      return boolean();
    case Kind::kInt:
      return integer() != 0;
    case Kind::kFloat:
      return number() != 0.0;
    case Kind::kString:
      return !bytes().empty();
    case Kind::kList:
      return list().flavor == Flavor::kGenerator || !list().items.empty();
    case Kind::kDict:
      return !dict().entries.empty();
    default:
      return true;
  }
}

std::string_view Value::TypeName() const {
  switch (kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return list().flavor == Flavor::kTuple       ? "tuple"
             : list().flavor == Flavor::kGenerator ? "generator"
             : list().flavor == Flavor::kList      ? "list"
                                                   : "dict view";
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kMacro:
      return "Macro";
    case Kind::kMethod:
      break;
  }
  return "method";
}

uint32_t Value::depth() const {
  if (Is(Kind::kList)) return list().depth;
  if (Is(Kind::kMethod)) return method().self.depth() + 1;  // it owns the value it is bound to
  return Is(Kind::kDict) ? dict().depth : 0;
}

const Value* DictData::Find(const Value& key, Budget& budget) const {
  for (const auto& [name, value] : entries)
    if (Equals(name, key, budget)) return &value;
  return nullptr;
}

const Value* DictData::Find(std::string_view key, Budget& budget) const {
  budget.Spend(entries.size() * sizeof(Value));
  for (const auto& [name, value] : entries)
    if (name.Is(Value::Kind::kString) && name.bytes() == key) return &value;
  return nullptr;
}

Value* NamespaceData::Find(std::string_view name, Budget& budget) {
  budget.Spend(entries.size() * sizeof(Value));
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [name](const auto& entry) { return entry.first == name; });
  return found == entries.end() ? nullptr : &found->second;
}

bool Equals(const Value& a, const Value& b, Budget& budget) {
  using Kind = Value::Kind;
  if (a.IsNumber() && b.IsNumber()) {
    budget.Spend(0);
    if (a.IsInteger() && b.IsInteger()) return a.integer() == b.integer();
    return a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      if (a.bytes().size() != b.bytes().size()) return false;
      return budget.Spend(a.bytes().size()) && a.bytes() == b.bytes();
    case Kind::kList:
      return budget.Spend(0) && ListsEqual(a.list(), b.list(), budget);
    case Kind::kDict:
      return budget.Spend(0) && DictsEqual(a.dict(), b.dict(), budget);
    case Kind::kNamespace:
      return &a.names() == &b.names();
    case Kind::kLoop:
      return &a.loop() == &b.loop();
    case Kind::kMacro:
      return &a.macro() == &b.macro();
    default:
      return false;
  }
}

bool IsHashable(const Value& value) {
  using Kind = Value::Kind;
  if (value.Is(Kind::kList)) {
    return value.list().is_hashable;
  }
  return value.IsNumber() || value.Is(Kind::kNone) || value.Is(Kind::kString) ||
         value.Is(Kind::kUndefined);
}

Value MakeList(std::vector<Value> items, Budget& budget, Flavor flavor) {
  auto list = std::make_shared<ListData>();
  list->flavor = flavor;
  for (const Value& item : items) list->depth = std::max(list->depth, item.depth() + 1);
  list->is_hashable =
      flavor == Flavor::kTuple && std::all_of(items.begin(), items.end(), IsHashable);
  if (list->depth > budget.limits().max_value_depth)
    budget.Exhaust("it nests lists and dicts deeper than " +
                   std::to_string(budget.limits().max_value_depth));
  if (budget.Allocate(ElementBytes<Value>(items.size()))) list->items = std::move(items);
  return Value(std::shared_ptr<const ListData>(std::move(list)));
}

Value MakeDict(std::vector<std::pair<Value, Value>> entries, Budget& budget) {
  auto dict = std::make_shared<DictData>();
  for (const auto& [key, value] : entries)
    dict->depth = std::max(dict->depth, std::max(key.depth(), value.depth()) + 1);
  if (dict->depth > budget.limits().max_value_depth)
    budget.Exhaust("it nests lists and dicts deeper than " +
                   std::to_string(budget.limits().max_value_depth));
  if (budget.Allocate(ElementBytes<std::pair<Value, Value>>(entries.size())))
    dict->entries = std::move(entries);
  return Value(std::shared_ptr<const DictData>(std::move(dict)));
}

Value MakeString(std::string_view bytes, Budget& budget) {
  TextBuilder builder(budget);
  builder.Append(bytes);
  return Value(builder.Take());
}

}  // namespace forge::jinja
