#include <algorithm>

#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime.h"
#include "engine/text/jinja/runtime_scopes.h"

namespace forge::jinja {
namespace {

using Kind = Value::Kind;

}  // namespace

Result<Value> Runtime::Evaluate(const Expr& expr) {
  const Level level(*this);
  budget_.Spend(0);
  FORGE_TRY(CheckLevel());
  Result<Value> value = EvaluateInner(expr);
  if (value.ok() && budget_.exhausted()) return Fail(budget_.what());
  return value;
}

Result<Value> Runtime::EvaluateInner(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kConstant:
      return expr.constant;
    case Expr::Kind::kName:
      return Lookup(expr.name);
    case Expr::Kind::kList:
    case Expr::Kind::kTuple:
      return EvaluateSequence(expr);
    case Expr::Kind::kDict:
      return EvaluateDict(expr);
    case Expr::Kind::kAttribute: {
      FORGE_ASSIGN_OR_RETURN(const Value object, Evaluate(*expr.children[0]));
      line_ = expr.line;
      if (object.Is(Kind::kUndefined)) return Fail(object.why_undefined());
      return GetAttribute(object, expr.name);
    }
    case Expr::Kind::kItem: {
      FORGE_ASSIGN_OR_RETURN(const Value object, Evaluate(*expr.children[0]));
      FORGE_ASSIGN_OR_RETURN(const Value key, Evaluate(*expr.children[1]));
      line_ = expr.line;
      if (object.Is(Kind::kUndefined)) return Fail(object.why_undefined());
      return GetItem(object, key);
    }
    case Expr::Kind::kSlice:
      return EvaluateSlice(expr);
    case Expr::Kind::kCall:
      return EvaluateCall(expr);
    case Expr::Kind::kFilter:
      return EvaluateFilter(expr);
    case Expr::Kind::kTest:
      return EvaluateTest(expr);
    case Expr::Kind::kNot:
    case Expr::Kind::kNegate:
    case Expr::Kind::kPlus:
      return EvaluateUnary(expr);
    case Expr::Kind::kBinary: {
      FORGE_ASSIGN_OR_RETURN(const Value a, Evaluate(*expr.children[0]));
      FORGE_ASSIGN_OR_RETURN(const Value b, Evaluate(*expr.children[1]));
      line_ = expr.line;
      return Compute(*this, expr.op, a, b);
    }
    case Expr::Kind::kCompare:
      return EvaluateCompare(expr);
    case Expr::Kind::kConcatenate:
      return EvaluateConcatenation(expr);
    case Expr::Kind::kAnd:
    case Expr::Kind::kOr: {
      FORGE_ASSIGN_OR_RETURN(Value left, Evaluate(*expr.children[0]));
      if (left.IsTrue() == (expr.kind == Expr::Kind::kOr)) return left;
      return Evaluate(*expr.children[1]);
    }
    case Expr::Kind::kConditional:
      break;
  }
  return EvaluateConditional(expr);
}

Value Runtime::Lookup(std::string_view name) const {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    const auto found = scope->names.find(name);
    if (found != scope->names.end()) return found->second;
  }
  if (const Native* const native = FindFunction(name))
    return Value(std::make_shared<const MethodData>(MethodData{native, Value()}));
  return Value::MakeUndefined("'" + std::string(name.substr(0, 100)) + "' is undefined");
}

Result<Value> Runtime::EvaluateSequence(const Expr& expr) {
  std::vector<Value> items;
  items.reserve(expr.children.size());
  for (const ExprPtr& child : expr.children) {
    FORGE_ASSIGN_OR_RETURN(Value item, Evaluate(*child));
    items.push_back(std::move(item));
  }
  return MakeList(std::move(items), budget_,
                  expr.kind == Expr::Kind::kTuple ? Flavor::kTuple : Flavor::kList);
}

Result<Value> Runtime::EvaluateDict(const Expr& expr) {
  std::vector<std::pair<Value, Value>> entries;
  for (size_t i = 0; i < expr.children.size(); i += 2) {
    FORGE_ASSIGN_OR_RETURN(Value key, Evaluate(*expr.children[i]));
    FORGE_ASSIGN_OR_RETURN(Value value, Evaluate(*expr.children[i + 1]));
    if (!IsHashable(key))
      return Fail("a value of type " + std::string(key.TypeName()) + " cannot be a dict's key");
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
      return Equals(entry.first, key, budget_);
    });
    if (found != entries.end()) {
      found->second = std::move(value);
    } else {
      entries.emplace_back(std::move(key), std::move(value));
    }
  }
  return MakeDict(std::move(entries), budget_);
}

Result<Value> Runtime::EvaluateSlice(const Expr& expr) {
  std::vector<Value> parts(4);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (expr.children[i] == nullptr) continue;
    FORGE_ASSIGN_OR_RETURN(parts[i], Evaluate(*expr.children[i]));
  }
  line_ = expr.line;
  if (parts[0].Is(Kind::kUndefined)) return Fail(parts[0].why_undefined());
  return Slice(*this, parts[0], parts[1], parts[2], parts[3]);
}

Result<Arguments> Runtime::EvaluateArguments(const std::vector<Argument>& arguments) {
  Arguments evaluated;
  for (const Argument& argument : arguments) {
    FORGE_ASSIGN_OR_RETURN(Value value, Evaluate(*argument.value));
    switch (argument.kind) {
      case Argument::Kind::kPlain:
        evaluated.positional.push_back(std::move(value));
        break;
      case Argument::Kind::kNamed:
        evaluated.named.emplace_back(argument.name, std::move(value));
        break;
      case Argument::Kind::kList: {
        FORGE_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(*this, value));
        evaluated.positional.insert(evaluated.positional.end(), items.begin(), items.end());
        break;
      }
      case Argument::Kind::kDict:
        if (!value.Is(Kind::kDict)) return Fail("what follows '**' in a call is no dict");
        for (const auto& [key, entry] : value.dict().entries) {
          if (!key.Is(Kind::kString)) return Fail("the name of an argument is no string");
          if (!budget_.Allocate(sizeof(Value) + key.bytes().size())) break;
          evaluated.named.emplace_back(key.bytes(), entry);
        }
        break;
    }
  }
  return evaluated;
}

Result<Value> Runtime::EvaluateCall(const Expr& expr) {
  FORGE_ASSIGN_OR_RETURN(const Value callee, Evaluate(*expr.children[0]));
  FORGE_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expr.arguments));
  line_ = expr.line;
  return Call(callee, arguments);
}

Result<Value> Runtime::EvaluateFilter(const Expr& expr) {
  Value operand;
  if (!expr.children.empty()) {
    FORGE_ASSIGN_OR_RETURN(operand, Evaluate(*expr.children[0]));
  } else if (block_value_ != nullptr) {
    operand = *block_value_;
  }
  FORGE_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expr.arguments));
  line_ = expr.line;
  return ApplyFilter(expr.name, operand, arguments);
}

Result<Value> Runtime::EvaluateTest(const Expr& expr) {
  FORGE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expr.children[0]));
  FORGE_ASSIGN_OR_RETURN(const Arguments arguments, EvaluateArguments(expr.arguments));
  line_ = expr.line;
  FORGE_ASSIGN_OR_RETURN(const bool holds, ApplyTest(expr.name, operand, arguments));
  return Value(holds);
}

Result<Value> Runtime::EvaluateCompare(const Expr& expr) {
  FORGE_ASSIGN_OR_RETURN(Value left, Evaluate(*expr.children[0]));
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(Value right, Evaluate(*expr.children[i + 1]));
    line_ = expr.line;
    FORGE_ASSIGN_OR_RETURN(const bool holds, Compare(*this, expr.operators[i], left, right));
    if (!holds) return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Result<Value> Runtime::EvaluateConcatenation(const Expr& expr) {
  TextBuilder text(budget_);
  for (const ExprPtr& child : expr.children) {
    FORGE_ASSIGN_OR_RETURN(const Value value, Evaluate(*child));
    text.Append(ToText(value, budget_));
  }
  return Value(text.Take());
}

Result<Value> Runtime::EvaluateUnary(const Expr& expr) {
  FORGE_ASSIGN_OR_RETURN(const Value operand, Evaluate(*expr.children[0]));
  line_ = expr.line;
  if (expr.kind == Expr::Kind::kNot) return Value(!operand.IsTrue());
  if (operand.Is(Kind::kUndefined)) return Fail(operand.why_undefined());
  if (!operand.IsNumber())
    return Fail("a value of type " + std::string(operand.TypeName()) + " has no sign");
  const Value zero(int64_t{0});
  if (operand.Is(Kind::kFloat))
    return Value(expr.kind == Expr::Kind::kNegate ? -operand.number() : operand.number());
  return Compute(*this, expr.kind == Expr::Kind::kNegate ? Operator::kSubtract : Operator::kAdd,
                 zero, operand);
}

Result<Value> Runtime::EvaluateConditional(const Expr& expr) {
  FORGE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*expr.children[1]));
  if (condition.IsTrue()) return Evaluate(*expr.children[0]);
  if (expr.children[2] != nullptr) return Evaluate(*expr.children[2]);
  return Value::MakeUndefined("the inline if-expression evaluated to false and has no else");
}

}  // namespace forge::jinja
