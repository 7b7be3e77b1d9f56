#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/text/jinja/native.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

Status Unsupported(Runtime& runtime, std::string_view op, const Value& a, const Value& b) {
  if (a.Is(Kind::kUndefined)) return runtime.Fail(a.why_undefined());
  if (b.Is(Kind::kUndefined)) return runtime.Fail(b.why_undefined());
  return runtime.Fail("'" + std::string(op) + "' is not defined between '" +
                      std::string(a.TypeName()) + "' and '" + std::string(b.TypeName()) + "'");
}

std::string_view NameOf(Operator op) {
  constexpr std::string_view kNames[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kNames[static_cast<size_t>(op)];
}

// --- Numbers

Result<Value> Power(Runtime& runtime, int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return runtime.Fail("0 cannot be raised to a negative power");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  bool overflows = false;
  while (exponent > 0 && !overflows) {
    if (exponent % 2 == 1) overflows = __builtin_mul_overflow(result, base, &result);
    exponent /= 2;
    if (exponent > 0) overflows = overflows || __builtin_mul_overflow(base, base, &base);
  }
  if (overflows) return runtime.Fail("a number passes 64 bits");
  return Value(result);
}

// As Python: towards minus infinity.
int64_t FloorDivide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t Modulo(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

Result<Value> ComputeIntegers(Runtime& runtime, Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflows = false;
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) return runtime.Fail("division by zero");
  switch (op) {
    case Operator::kAdd:
      overflows = __builtin_add_overflow(a, b, &result);
      break;
    case Operator::kSubtract:
      overflows = __builtin_sub_overflow(a, b, &result);
      break;
    case Operator::kMultiply:
      overflows = __builtin_mul_overflow(a, b, &result);
      break;
    case Operator::kDivide:
      return Value(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      overflows = b == -1 && a == std::numeric_limits<int64_t>::min();
      if (!overflows) result = FloorDivide(a, b);
      break;
    case Operator::kModulo:
      result = b == -1 ? 0 : Modulo(a, b);
      break;
    default:
      return Power(runtime, a, b);
  }
  if (overflows) return runtime.Fail("a number passes 64 bits");
  return Value(result);
}

Result<Value> ComputeFloats(Runtime& runtime, Operator op, double a, double b) {
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0.0) return runtime.Fail("division by zero");
  switch (op) {
    case Operator::kAdd:
      return Value(a + b);
    case Operator::kSubtract:
      return Value(a - b);
    case Operator::kMultiply:
      return Value(a * b);
    case Operator::kDivide:
      return Value(a / b);
    case Operator::kFloorDivide:
      return Value(std::floor(a / b));
    case Operator::kModulo: {
      const double rest = std::fmod(a, b);
      return Value(rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest);
    }
    default:
      return Value(std::pow(a, b));
  }
}

// --- Sequences

Result<Value> Repeat(Runtime& runtime, const Value& value, int64_t count) {
  Budget& budget = runtime.budget();
  const auto n = static_cast<uint64_t>(std::max<int64_t>(count, 0));
  if (value.Is(Kind::kString)) {
    TextBuilder text(budget);
    if (!value.bytes().empty())
      for (uint64_t i = 0; i < n && !budget.exhausted(); ++i) text.Append(value.text());
    return Value(text.Take());
  }
  const std::vector<Value>& items = value.list().items;
  std::vector<Value> repeated;
  if (!items.empty()) {
    for (uint64_t i = 0; i < n; ++i) {
      if (!budget.Allocate(items.size() * sizeof(Value))) break;
      repeated.insert(repeated.end(), items.begin(), items.end());
    }
  }
  return MakeList(std::move(repeated), budget, value.list().flavor);
}

bool IsSequence(const Value& value) {
  return value.Is(Kind::kString) ||
         (value.Is(Kind::kList) &&
          (value.list().flavor == Flavor::kList || value.list().flavor == Flavor::kTuple));
}

Result<Value> ConcatenateLists(Runtime& runtime, const Value& a, const Value& b) {
  Budget& budget = runtime.budget();
  std::vector<Value> items;
  const size_t n = a.list().items.size() + b.list().items.size();
  if (budget.Allocate(n * sizeof(Value))) {
    items = a.list().items;
    items.insert(items.end(), b.list().items.begin(), b.list().items.end());
  }
  return MakeList(std::move(items), budget, a.list().flavor);
}

// --- Order

// -1, 0 or 1; 2 for numbers that have no order. An error for what cannot be compared.
Result<int> Order(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  runtime.budget().Spend(0);
  if (a.IsInteger() && b.IsInteger())
    return a.integer() < b.integer() ? -1 : static_cast<int>(a.integer() > b.integer());
  if (a.IsNumber() && b.IsNumber()) {
    if (std::isnan(a.number()) || std::isnan(b.number())) return 2;
    return a.number() < b.number() ? -1 : static_cast<int>(a.number() > b.number());
  }
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) {
    runtime.budget().Spend(std::min(a.bytes().size(), b.bytes().size()));
    const int order = a.bytes().compare(b.bytes());  // of UTF-8: that of the code points
    return order < 0 ? -1 : static_cast<int>(order > 0);
  }
  if (a.Is(Kind::kList) && b.Is(Kind::kList) && a.list().flavor == b.list().flavor &&
      IsSequence(a)) {
    const std::vector<Value>& left = a.list().items;
    const std::vector<Value>& right = b.list().items;
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      if (runtime.budget().exhausted()) break;
      if (!Equals(left[i], right[i], runtime.budget()))
        return Order(runtime, op, left[i], right[i]);
    }
    return left.size() < right.size() ? -1 : static_cast<int>(left.size() > right.size());
  }
  return Unsupported(runtime, NameOf(op), a, b);
}

Result<bool> Contains(Runtime& runtime, const Value& item, const Value& container) {
  Budget& budget = runtime.budget();
  switch (container.kind()) {
    case Kind::kString:
      if (!item.Is(Kind::kString)) return Unsupported(runtime, "in", item, container);
      budget.Spend(container.bytes().size());
      return Find(container.bytes(), item.bytes(), 0) != std::string_view::npos;
    case Kind::kDict:
      if (!IsHashable(item)) return Unsupported(runtime, "in", item, container);
      return container.dict().Find(item, budget) != nullptr;
    default: {
      FORGE_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, container));
      return std::any_of(items.begin(), items.end(),
                         [&](const Value& other) { return Equals(item, other, budget); });
    }
  }
}

}  // namespace

Result<Value> Compute(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  if (a.IsInteger() && b.IsInteger()) return ComputeIntegers(runtime, op, a.integer(), b.integer());
  if (a.IsNumber() && b.IsNumber()) return ComputeFloats(runtime, op, a.number(), b.number());
  if (op == Operator::kAdd && a.Is(Kind::kString) && b.Is(Kind::kString)) {
    TextBuilder text(runtime.budget());
    text.Append(a.text());
    text.Append(b.text());
    return Value(text.Take());
  }
  if (op == Operator::kAdd && a.Is(Kind::kList) && b.Is(Kind::kList) && IsSequence(a) &&
      a.list().flavor == b.list().flavor)
    return ConcatenateLists(runtime, a, b);
  if (op == Operator::kMultiply && IsSequence(a) && b.IsInteger())
    return Repeat(runtime, a, b.integer());
  if (op == Operator::kMultiply && a.IsInteger() && IsSequence(b))
    return Repeat(runtime, b, a.integer());
  if (op == Operator::kModulo && a.Is(Kind::kString)) return FormatPercent(runtime, a.text(), b);
  return Unsupported(runtime, NameOf(op), a, b);
}

Result<bool> Compare(Runtime& runtime, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return Equals(a, b, runtime.budget());
    case Operator::kNotEqual:
      return !Equals(a, b, runtime.budget());
    case Operator::kIn:
      return Contains(runtime, a, b);
    case Operator::kNotIn: {
      FORGE_ASSIGN_OR_RETURN(const bool contains, Contains(runtime, a, b));
      return !contains;
    }
    default:
      break;
  }
  FORGE_ASSIGN_OR_RETURN(const int order, Order(runtime, op, a, b));
  if (order == 2) return false;
  if (op == Operator::kLess) return order < 0;
  if (op == Operator::kLessEqual) return order <= 0;
  return op == Operator::kGreater ? order > 0 : order >= 0;
}

Result<std::vector<Value>> Iterate(Runtime& runtime, const Value& value) {
  Budget& budget = runtime.budget();
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::kUndefined:
      return items;
    case Kind::kString: {
      const std::string& bytes = value.bytes();
      for (size_t i = 0; i < bytes.size() && budget.Allocate(sizeof(Value));) {
        const size_t size = CharSize(bytes, i);
        items.emplace_back(Part(value.text(), i, size, budget));
        i += size;
      }
      return items;
    }
    case Kind::kList: {
      const ListData& list = value.list();
      if (list.flavor == Flavor::kGenerator && std::exchange(list.is_used, true)) return items;
      if (budget.Allocate(list.items.size() * sizeof(Value))) items = list.items;
      return items;
    }
    case Kind::kDict:
      if (budget.Allocate(value.dict().entries.size() * sizeof(Value)))
        for (const auto& [key, entry] : value.dict().entries) items.push_back(key);
      return items;
    default:
      return runtime.Fail("a value of type '" + std::string(value.TypeName()) +
                          "' cannot be iterated over");
  }
}

namespace {

// Python's rules for the bounds of a slice of `size` elements.
struct Bounds {
  int64_t start, stop, step;
};

Bounds ResolveBounds(int64_t size, const Value& start, const Value& stop, int64_t step) {
  const auto clamp = [&](const Value& bound, int64_t if_none) {
    if (bound.Is(Kind::kNone)) return if_none;
    int64_t i = bound.integer();
    if (i < 0) i = i < -size ? -1 : i + size;
    if (step < 0) return std::clamp<int64_t>(i, -1, size - 1);
    return std::clamp<int64_t>(i, 0, size);
  };
  return {clamp(start, step < 0 ? size - 1 : 0), clamp(stop, step < 0 ? -1 : size), step};
}

// Element i of those that a slice takes, as long as there are more.
template <typename Take>
void ForEachIndex(const Bounds& bounds, Take take) {
  for (int64_t i = bounds.start; bounds.step > 0 ? i < bounds.stop : i > bounds.stop;) {
    if (!take(static_cast<size_t>(i))) return;
    if (__builtin_add_overflow(i, bounds.step, &i)) return;
  }
}

Value SliceText(const Text& text, const Value& start, const Value& stop, int64_t step,
                Budget& budget) {
  const std::string& bytes = text.bytes;
  if (!budget.Spend(bytes.size())) return Value(Text());
  const auto size = static_cast<int64_t>(CountChars(bytes));
  const Bounds bounds = ResolveBounds(size, start, stop, step);
  TextBuilder slice(budget);
  if (step == 1) {
    if (bounds.start >= bounds.stop) return Value(Text());
    const size_t begin = CharOffset(bytes, static_cast<size_t>(bounds.start));
    const size_t end = begin + CharOffset(std::string_view(bytes).substr(begin),
                                          static_cast<size_t>(bounds.stop - bounds.start));
    slice.Append(text, begin, end - begin);
    return Value(slice.Take());
  }
  if (!budget.Allocate(static_cast<uint64_t>(size) * sizeof(size_t))) return Value(Text());
  std::vector<size_t> offsets;  // of the characters
  for (size_t i = 0; i < bytes.size(); i += CharSize(bytes, i)) offsets.push_back(i);
  offsets.push_back(bytes.size());
  ForEachIndex(bounds, [&](size_t i) {
    slice.Append(text, offsets[i], offsets[i + 1] - offsets[i]);
    return !budget.exhausted();
  });
  return Value(slice.Take());
}

Value SliceList(const ListData& list, const Value& start, const Value& stop, int64_t step,
                Budget& budget) {
  std::vector<Value> items;
  ForEachIndex(ResolveBounds(static_cast<int64_t>(list.items.size()), start, stop, step),
               [&](size_t i) {
                 if (!budget.Allocate(sizeof(Value))) return false;
                 items.push_back(list.items[i]);
                 return true;
               });
  return MakeList(std::move(items), budget, list.flavor);
}

}  // namespace

Result<Value> Slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                    const Value& step) {
  for (const Value* bound : {&start, &stop, &step})
    if (!bound->Is(Kind::kNone) && !bound->IsInteger())
      return runtime.Fail("the bounds of a slice must be integers");
  const int64_t stride = step.Is(Kind::kNone) ? 1 : step.integer();
  if (stride == 0) return runtime.Fail("the step of a slice cannot be 0");
  if (!IsSequence(value))
    return Value::MakeUndefined("a value of type '" + std::string(value.TypeName()) +
                                "' cannot be sliced");
  if (value.Is(Kind::kString))
    return SliceText(value.text(), start, stop, stride, runtime.budget());
  return SliceList(value.list(), start, stop, stride, runtime.budget());
}

}  // namespace forge::jinja
