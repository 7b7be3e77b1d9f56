#include "engine/text/jinja/native.h"
#include "engine/text/jinja/string_functions.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

template <Kind kind>
Result<Value> IsKind(NativeCall& call) {
  return Value(call.self.Is(kind));
}

template <bool expected>
Result<Value> IsBool(NativeCall& call) {
  return Value(call.self.Is(Kind::kBool) && call.self.boolean() == expected);
}

Result<Value> IsDefined(NativeCall& call) { return Value(!call.self.Is(Kind::kUndefined)); }
Result<Value> IsNumber(NativeCall& call) { return Value(call.self.IsNumber()); }

Result<Value> IsSequence(NativeCall& call) {
  const bool is_list = call.self.Is(Kind::kList) && (call.self.list().flavor == Flavor::kList ||
                                                     call.self.list().flavor == Flavor::kTuple);
  return Value(is_list || call.self.Is(Kind::kString) || call.self.Is(Kind::kDict) ||
               call.self.Is(Kind::kUndefined));
}

Result<Value> IsIterable(NativeCall& call) {
  return Value(call.self.Is(Kind::kList) || call.self.Is(Kind::kString) ||
               call.self.Is(Kind::kDict) || call.self.Is(Kind::kUndefined) ||
               call.self.Is(Kind::kLoop));
}

Result<Value> IsCallable(NativeCall& call) {
  return Value(call.self.Is(Kind::kMacro) || call.self.Is(Kind::kMethod) ||
               call.self.Is(Kind::kLoop) || call.self.Is(Kind::kUndefined));
}

Result<Value> Remainder(NativeCall& call, const Value& divisor) {
  return Compute(call.runtime, Operator::kModulo, call.self, divisor);
}

template <bool odd>
Result<Value> HasParity(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Value rest, Remainder(call, Value(int64_t{2})));
  return Value(rest.IsTrue() == odd);
}

Result<Value> IsDivisibleBy(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const Value rest, Remainder(call, call[0]));
  return Value(!rest.IsTrue());
}

template <Operator op>
Result<Value> Holds(NativeCall& call) {
  FORGE_ASSIGN_OR_RETURN(const bool holds, Compare(call.runtime, op, call.self, call[0]));
  return Value(holds);
}

// Objects that are shared are the same; numbers and strings are where they are equal.
Result<Value> IsSameAs(NativeCall& call) {
  const Value& other = call[0];
  if (call.self.kind() != other.kind()) return Value(false);
  if (call.self.Is(Kind::kList)) return Value(&call.self.list() == &other.list());
  if (call.self.Is(Kind::kDict)) return Value(&call.self.dict() == &other.dict());
  return Value(Equals(call.self, other, call.budget()));
}

template <bool upper>
Result<Value> IsCasedAs(NativeCall& call) {
  return Value(IsCased(ToText(call.self, call.budget()).bytes, upper));
}

Result<Value> IsFilter(NativeCall& call) {
  return Value(call.self.Is(Kind::kString) && FindFilter(call.self.bytes()) != nullptr);
}

Result<Value> IsTest(NativeCall& call) {
  return Value(call.self.Is(Kind::kString) && FindTest(call.self.bytes()) != nullptr);
}

Result<Value> IsEscaped(NativeCall&) { return Value(false); }

constexpr Native kTests[] = {
    {"defined", &IsDefined},
    {"undefined", &IsKind<Kind::kUndefined>},
    {"none", &IsKind<Kind::kNone>},
    {"boolean", &IsKind<Kind::kBool>},
    {"integer", &IsKind<Kind::kInt>},
    {"float", &IsKind<Kind::kFloat>},
    {"string", &IsKind<Kind::kString>},
    {"mapping", &IsKind<Kind::kDict>},
    {"true", &IsBool<true>},
    {"false", &IsBool<false>},
    {"number", &IsNumber},
    {"sequence", &IsSequence},
    {"iterable", &IsIterable},
    {"callable", &IsCallable},
    {"odd", &HasParity<true>},
    {"even", &HasParity<false>},
    {"divisibleby", &IsDivisibleBy, {"num"}, 1},
    {"sameas", &IsSameAs, {"other"}, 1},
    {"lower", &IsCasedAs<false>},
    {"upper", &IsCasedAs<true>},
    {"filter", &IsFilter},
    {"test", &IsTest},
    {"escaped", &IsEscaped},
    {"in", &Holds<Operator::kIn>, {"seq"}, 1},
    {"eq", &Holds<Operator::kEqual>, {"b"}, 1},
    {"equalto", &Holds<Operator::kEqual>, {"b"}, 1},
    {"==", &Holds<Operator::kEqual>, {"b"}, 1},
    {"ne", &Holds<Operator::kNotEqual>, {"b"}, 1},
    {"!=", &Holds<Operator::kNotEqual>, {"b"}, 1},
    {"lt", &Holds<Operator::kLess>, {"b"}, 1},
    {"lessthan", &Holds<Operator::kLess>, {"b"}, 1},
    {"<", &Holds<Operator::kLess>, {"b"}, 1},
    {"le", &Holds<Operator::kLessEqual>, {"b"}, 1},
    {"<=", &Holds<Operator::kLessEqual>, {"b"}, 1},
    {"gt", &Holds<Operator::kGreater>, {"b"}, 1},
    {"greaterthan", &Holds<Operator::kGreater>, {"b"}, 1},
    {">", &Holds<Operator::kGreater>, {"b"}, 1},
    {"ge", &Holds<Operator::kGreaterEqual>, {"b"}, 1},
    {">=", &Holds<Operator::kGreaterEqual>, {"b"}, 1},
};

}  // namespace

std::span<const Native> Tests() { return kTests; }

}  // namespace forge::jinja
