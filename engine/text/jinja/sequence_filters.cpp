#include <algorithm>

#include "engine/text/jinja/native.h"
#include "engine/text/jinja/string_functions.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;
using Values = std::vector<Value>;

Result<Value> Length(NativeCall& call) {
  switch (call.self.kind()) {
    case Kind::kUndefined:
      return Value(int64_t{0});
    case Kind::kString:
      call.budget().Spend(call.self.bytes().size());
      return Value(static_cast<int64_t>(CountChars(call.self.bytes())));
    case Kind::kDict:
      return Value(static_cast<int64_t>(call.self.dict().entries.size()));
    case Kind::kList:
      if (call.self.list().flavor != Flavor::kGenerator)
        return Value(static_cast<int64_t>(call.self.list().items.size()));
      break;
    default:
      break;
  }
  return call.runtime.Fail("a value of type '" + std::string(call.self.TypeName()) +
                           "' has no length");
}

Result<Value> First(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  return items.empty() ? Value::MakeUndefined("no first item, the sequence is empty") : items[0];
}

bool IsGenerator(const Value& value) {
  return value.Is(Kind::kList) && value.list().flavor == Flavor::kGenerator;
}

Result<Value> Last(NativeCall& call) {
  if (IsGenerator(call.self)) return call.runtime.Fail("a generator has no last item");
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  return items.empty() ? Value::MakeUndefined("no last item, the sequence is empty") : items.back();
}

Result<Value> List(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(Values items, Iterate(call.runtime, call.self));
  return MakeList(std::move(items), call.budget());
}

Result<Value> Reverse(NativeCall& call) {
  if (IsGenerator(call.self)) return call.runtime.Fail("a generator cannot be reversed");
  FORGE_ASSIGN_OR_RETURN(Values items, Iterate(call.runtime, call.self));
  std::reverse(items.begin(), items.end());
  if (!call.self.Is(Kind::kString))
    return MakeList(std::move(items), call.budget(), Flavor::kGenerator);
  TextBuilder text(call.budget());
  for (const Value& item : items) text.Append(item.text());
  return Value(text.Take());
}

// What an element is compared by: an attribute, or itself; strings without regard to case.
Result<Value> KeyOf(NativeCall& call, const Value& item, const Value* attribute,
                    bool is_case_sensitive) {
  Budget& budget = call.budget();
  Value key = item;
  if (attribute != nullptr && !attribute->Is(Kind::kNone)) {
    FORGE_ASSIGN_OR_RETURN(key, GetPath(call.runtime, item, *attribute));
  }
  if (!is_case_sensitive && key.Is(Kind::kString))
    key = Value(ChangeCase(key.text(), Case::kLower, budget));
  return key;
}

// Sorts by keys; an error if two have no order.
Status SortByKey(Runtime& runtime, std::vector<std::pair<Value, Value>>& keyed, bool is_reverse) {
  Status status;
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    if (!status.ok() || runtime.budget().exhausted()) return false;
    const Result<bool> less = Compare(runtime, Operator::kLess, is_reverse ? b.first : a.first,
                                      is_reverse ? a.first : b.first);
    if (!less.ok()) status = less.status();
    return less.ok() && *less;
  });
  return status;
}

Result<std::vector<std::pair<Value, Value>>> KeyedItems(NativeCall& call, const Value* attribute,
                                                        bool is_case_sensitive) {
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items) {
    if (!call.budget().Allocate(sizeof(keyed[0]))) break;
    FORGE_ASSIGN_OR_RETURN(Value key, KeyOf(call, item, attribute, is_case_sensitive));
    keyed.emplace_back(std::move(key), item);
  }
  return keyed;
}

Result<Value> Sort(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(auto keyed,
                         KeyedItems(call, call.Has(2) ? &call[2] : nullptr, call[1].IsTrue()));
  FORGE_TRY(SortByKey(call.runtime, keyed, call[0].IsTrue()));
  Values sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return MakeList(std::move(sorted), call.budget());
}

Result<Value> Unique(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const auto keyed,
                         KeyedItems(call, call.Has(1) ? &call[1] : nullptr, call[0].IsTrue()));
  Values seen, kept;
  for (const auto& [key, item] : keyed) {
    const bool is_known =
        std::any_of(seen.begin(), seen.end(),
                    [&key = key, &call](const Value& v) { return Equals(v, key, call.budget()); });
    if (is_known || call.budget().exhausted()) continue;
    seen.push_back(key);
    kept.push_back(item);
  }
  return MakeList(std::move(kept), call.budget(), Flavor::kGenerator);
}

template <bool is_max>
Result<Value> Extreme(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const auto keyed,
                         KeyedItems(call, call.Has(1) ? &call[1] : nullptr, call[0].IsTrue()));
  if (keyed.empty()) return Value::MakeUndefined("no aggregated item, the sequence is empty");
  size_t best = 0;
  for (size_t i = 1; i < keyed.size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(const bool is_better,
                           Compare(call.runtime, is_max ? Operator::kGreater : Operator::kLess,
                                   keyed[i].first, keyed[best].first));
    if (is_better) best = i;
  }
  return keyed[best].second;
}

Result<Value> Sum(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  Value sum = call.Has(1) ? call[1] : Value(int64_t{0});
  for (const Value& item : items) {
    Value value = item;
    if (call.Has(0) && !call[0].Is(Kind::kNone)) {
      FORGE_ASSIGN_OR_RETURN(value, GetPath(call.runtime, item, call[0]));
    }
    FORGE_ASSIGN_OR_RETURN(sum, Compute(call.runtime, Operator::kAdd, sum, value));
  }
  return sum;
}

Value Pair(const Value& key, const Value& value, Budget& budget) {
  return MakeList({key, value}, budget, Flavor::kTuple);
}

Result<Value> Items(NativeCall& call) {
  Values items;
  if (!call.self.Is(Kind::kUndefined)) {
    if (!call.self.Is(Kind::kDict)) return call.runtime.Fail("'items' needs a dict");
    for (const auto& [key, value] : call.self.dict().entries) {
      if (call.budget().exhausted()) break;
      items.push_back(Pair(key, value, call.budget()));
    }
  }
  return MakeList(std::move(items), call.budget(), Flavor::kGenerator);
}

Result<Value> Dictsort(NativeCall& call) {
  if (!call.self.Is(Kind::kDict)) return call.runtime.Fail("'dictsort' needs a dict");
  const std::string by = call.Has(1) ? ToText(call[1], call.budget()).bytes : "key";
  if (by != "key" && by != "value")
    return call.runtime.Fail("argument 'by' must be \"key\" or \"value\"");
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : call.self.dict().entries) {
    if (!call.budget().Allocate(sizeof(keyed[0]))) break;
    FORGE_ASSIGN_OR_RETURN(Value sort_key,
                           KeyOf(call, by == "key" ? key : value, nullptr, call[0].IsTrue()));
    keyed.emplace_back(std::move(sort_key), Pair(key, value, call.budget()));
  }
  FORGE_TRY(SortByKey(call.runtime, keyed, call[2].IsTrue()));
  Values sorted;
  for (auto& [key, item] : keyed) sorted.push_back(std::move(item));
  return MakeList(std::move(sorted), call.budget());
}

Result<Value> Batch(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const int64_t size, IntegerArgument(call, 0, "linecount"));
  if (size <= 0) return call.runtime.Fail("argument 'linecount' must be positive");
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  Values batches, batch;
  for (const Value& item : items) {
    if (static_cast<int64_t>(batch.size()) == size)
      batches.push_back(MakeList(std::exchange(batch, {}), call.budget()));
    batch.push_back(item);
  }
  if (!batch.empty()) {
    const bool fills = call.Has(1) && !call[1].Is(Kind::kNone);
    while (fills && static_cast<int64_t>(batch.size()) < size &&
           call.budget().Allocate(sizeof(Value)))
      batch.push_back(call[1]);
    batches.push_back(MakeList(std::move(batch), call.budget()));
  }
  return MakeList(std::move(batches), call.budget(), Flavor::kGenerator);
}

Result<Value> SliceFilter(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const int64_t n_slices, IntegerArgument(call, 0, "slices"));
  if (n_slices <= 0) return call.runtime.Fail("argument 'slices' must be positive");
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  const auto n_items = static_cast<int64_t>(items.size());
  const int64_t per_slice = n_items / n_slices;
  const int64_t n_longer = n_items % n_slices;
  Values slices;
  auto next = items.begin();
  for (int64_t i = 0; i < n_slices && call.budget().Allocate(sizeof(Value)); ++i) {
    const bool is_longer = i < n_longer;
    const auto end = next + per_slice + (is_longer ? 1 : 0);
    Values slice(next, end);
    next = end;
    if (call.Has(1) && !call[1].Is(Kind::kNone) && !is_longer) slice.push_back(call[1]);
    slices.push_back(MakeList(std::move(slice), call.budget()));
  }
  return MakeList(std::move(slices), call.budget(), Flavor::kGenerator);
}

// --- Filters that apply others

// The arguments of a filter or test that another filter applies: all but the first `n_taken`.
Arguments RestOf(const NativeCall& call, size_t n_taken) {
  Arguments rest = call.rest;
  const size_t n = std::min(n_taken, rest.positional.size());
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<int64_t>(n));
  return rest;
}

Result<Value> Map(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  const Value* attribute = nullptr;
  Value fallback = Value::MakeUndefined("absent");
  for (const auto& [name, value] : call.rest.named) {
    if (name == "attribute") attribute = &value;
    if (name == "default") fallback = value;
  }
  if (attribute == nullptr &&
      (call.rest.positional.empty() || !call.rest.positional[0].Is(Kind::kString)))
    return call.runtime.Fail("'map' needs the name of a filter, or attribute=...");
  const Arguments arguments = RestOf(call, 1);
  Values mapped;
  for (const Value& item : items) {
    if (call.budget().exhausted()) break;
    if (attribute != nullptr) {
      FORGE_ASSIGN_OR_RETURN(Value value, GetPath(call.runtime, item, *attribute));
      if (value.Is(Kind::kUndefined) && !fallback.Is(Kind::kUndefined)) value = fallback;
      mapped.push_back(std::move(value));
      continue;
    }
    FORGE_ASSIGN_OR_RETURN(
        Value value, call.runtime.ApplyFilter(call.rest.positional[0].bytes(), item, arguments));
    mapped.push_back(std::move(value));
  }
  return MakeList(std::move(mapped), call.budget(), Flavor::kGenerator);
}

// select, reject, selectattr, rejectattr.
template <bool has_attribute, bool keeps>
Result<Value> Select(NativeCall& call) {
  const Values& given = call.rest.positional;
  constexpr size_t kTest = has_attribute ? 1 : 0;
  if (has_attribute && given.empty()) return call.runtime.Fail("an attribute is needed");
  if (given.size() > kTest && !given[kTest].Is(Kind::kString))
    return call.runtime.Fail("the name of a test is needed");
  FORGE_ASSIGN_OR_RETURN(const Values items, Iterate(call.runtime, call.self));
  const Arguments arguments = RestOf(call, kTest + 1);
  Values chosen;
  for (const Value& item : items) {
    if (call.budget().exhausted()) break;
    Value tested = item;
    if (has_attribute) {
      FORGE_ASSIGN_OR_RETURN(tested, GetPath(call.runtime, item, given[0]));
    }
    bool holds = tested.IsTrue();
    if (given.size() > kTest) {
      FORGE_ASSIGN_OR_RETURN(holds,
                             call.runtime.ApplyTest(given[kTest].bytes(), tested, arguments));
    }
    if (holds == keeps) chosen.push_back(item);
  }
  return MakeList(std::move(chosen), call.budget(), Flavor::kGenerator);
}

constexpr Native kFilters[] = {
    {"length", &Length},
    {"count", &Length},
    {"first", &First},
    {"last", &Last},
    {"list", &List},
    {"reverse", &Reverse},
    {"sort", &Sort, {"reverse", "case_sensitive", "attribute"}},
    {"unique", &Unique, {"case_sensitive", "attribute"}},
    {"min", &Extreme<false>, {"case_sensitive", "attribute"}},
    {"max", &Extreme<true>, {"case_sensitive", "attribute"}},
    {"sum", &Sum, {"attribute", "start"}},
    {"items", &Items},
    {"dictsort", &Dictsort, {"case_sensitive", "by", "reverse"}},
    {"batch", &Batch, {"linecount", "fill_with"}, 1},
    {"slice", &SliceFilter, {"slices", "fill_with"}, 1},
    {"map", &Map, {}, 0, true},
    {"select", &Select<false, true>, {}, 0, true},
    {"reject", &Select<false, false>, {}, 0, true},
    {"selectattr", &Select<true, true>, {}, 0, true},
    {"rejectattr", &Select<true, false>, {}, 0, true},
};

}  // namespace

std::span<const Native> SequenceFilters() { return kFilters; }

}  // namespace forge::jinja
