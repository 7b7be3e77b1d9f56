#include "engine/text/jinja/runtime.h"

#include <algorithm>

#include "engine/text/jinja/lexer.h"
#include "engine/text/jinja/native.h"
#include "engine/text/jinja/runtime_scopes.h"

namespace forge::jinja {

Runtime::Runtime(const Limits& limits, const std::tm& now) : budget_(limits), now_(now) {}

// Namespaces may hold each other; emptied one by one they go without recursion.
Runtime::~Runtime() {
  for (NamespaceData& names : namespaces_) names.entries.clear();
}

void Runtime::Define(std::string_view name, Value value) {
  root_.names.insert_or_assign(std::string(name), std::move(value));
}

Status Runtime::Fail(std::string_view problem) const { return TemplateError(line_, problem); }

Result<Text> Runtime::Render(const Body& body) {
  TextBuilder output(budget_);
  output_ = &output;
  const Result<Flow> flow = Execute(body);
  output_ = nullptr;
  FORGE_TRY(flow.status());
  return output.Take();
}

Status Runtime::CheckLevel() const {
  if (budget_.exhausted()) return Fail(budget_.what());
  if (depth_ <= budget_.limits().max_run_depth) return Status();
  return Fail("calls and expressions are nested deeper than " +
              std::to_string(budget_.limits().max_run_depth) + " levels");
}

// --- Statements

Result<Runtime::Flow> Runtime::Execute(const Body& body) {
  const Level level(*this);
  FORGE_TRY(CheckLevel());
  for (const std::unique_ptr<Stmt>& stmt : body) {
    line_ = stmt->line;
    budget_.Spend(0);
    FORGE_ASSIGN_OR_RETURN(const Flow flow, Execute(*stmt));
    if (budget_.exhausted()) return Fail(budget_.what());
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Result<Runtime::Flow> Runtime::Execute(const Stmt& stmt) {
  switch (stmt.kind) {
    case Stmt::Kind::kData:
      FORGE_TRY(Print(Value(std::string_view(stmt.text))));
      return Flow::kNext;
    case Stmt::Kind::kPrint: {
      FORGE_ASSIGN_OR_RETURN(const Value value, Evaluate(*stmt.expr));
      FORGE_TRY(Print(value));
      return Flow::kNext;
    }
    case Stmt::Kind::kIf:
      return ExecuteIf(stmt);
    case Stmt::Kind::kFor: {
      FORGE_ASSIGN_OR_RETURN(const Value items, Evaluate(*stmt.expr));
      FORGE_TRY(ExecuteFor(stmt, items, 0));
      return Flow::kNext;
    }
    case Stmt::Kind::kSet: {
      FORGE_ASSIGN_OR_RETURN(const Value value, Evaluate(*stmt.expr));
      FORGE_TRY(Assign(stmt.targets[0], value));
      return Flow::kNext;
    }
    case Stmt::Kind::kSetBlock:
      FORGE_TRY(ExecuteSetBlock(stmt));
      return Flow::kNext;
    case Stmt::Kind::kMacro:
      scope_->names.insert_or_assign(stmt.macro->name, MakeMacro(*stmt.macro));
      return Flow::kNext;
    case Stmt::Kind::kCall:
      FORGE_TRY(ExecuteCallBlock(stmt));
      return Flow::kNext;
    case Stmt::Kind::kFilter:
      FORGE_TRY(ExecuteFilterBlock(stmt));
      return Flow::kNext;
    case Stmt::Kind::kWith:
      FORGE_TRY(ExecuteWith(stmt));
      return Flow::kNext;
    case Stmt::Kind::kScope:
      return ExecuteScope(stmt);
    case Stmt::Kind::kBreak:
      return Flow::kBreak;
    case Stmt::Kind::kContinue:
      break;
  }
  return Flow::kContinue;
}

Status Runtime::Print(const Value& value) {
  if (value.Is(Value::Kind::kString)) {
    output_->Append(value.text());
  } else {
    output_->Append(ToText(value, budget_));
  }
  if (output_->size() > budget_.limits().max_output_bytes)
    return Fail("it writes more than " + std::to_string(budget_.limits().max_output_bytes) +
                " bytes");
  return Status();
}

Result<Runtime::Flow> Runtime::ExecuteIf(const Stmt& stmt) {
  for (size_t i = 0; i < stmt.branches.size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*stmt.branches[i]));
    if (condition.IsTrue()) return Execute(stmt.bodies[i]);
  }
  return Execute(stmt.bodies.back());
}

Result<Runtime::Flow> Runtime::ExecuteScope(const Stmt& stmt) {
  const Block block(*this, scope_);
  return Execute(stmt.bodies[0]);
}

Result<std::vector<Value>> Runtime::ItemsFor(const Stmt& stmt, const Value& items) {
  FORGE_ASSIGN_OR_RETURN(std::vector<Value> all, Iterate(*this, items));
  if (stmt.condition == nullptr) return all;
  std::vector<Value> chosen;
  for (Value& item : all) {
    const Block block(*this, scope_);
    FORGE_TRY(Assign(stmt.targets[0], item));
    FORGE_ASSIGN_OR_RETURN(const Value condition, Evaluate(*stmt.condition));
    if (condition.IsTrue()) chosen.push_back(std::move(item));
  }
  return chosen;
}

Status Runtime::ExecuteFor(const Stmt& stmt, const Value& items, uint32_t depth) {
  FORGE_ASSIGN_OR_RETURN(std::vector<Value> chosen, ItemsFor(stmt, items));
  if (chosen.empty()) {
    const Block block(*this, scope_);
    return Execute(stmt.bodies[1]).status();
  }
  const Value list = MakeList(std::move(chosen), budget_);
  if (!budget_.Allocate(sizeof(LoopState))) return Fail(budget_.what());
  LoopState& loop = loops_.emplace_back();
  loop.items = std::make_shared<ListData>(list.list());
  loop.depth = depth;
  if (stmt.is_recursive) {
    loop.node = &stmt;
    loop.scope = scope_;
    for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->is_kept = true;
  }
  for (; loop.index < loop.items->items.size(); ++loop.index) {
    const Block block(*this, scope_);
    scope_->names.insert_or_assign("loop", Value(&loop));
    FORGE_TRY(Assign(stmt.targets[0], loop.items->items[loop.index]));
    FORGE_ASSIGN_OR_RETURN(const Flow flow, Execute(stmt.bodies[0]));
    if (flow == Flow::kBreak) break;
  }
  return Status();
}

Result<Text> Runtime::Capture(const Body& body) {
  TextBuilder captured(budget_);
  TextBuilder* const outer = std::exchange(output_, &captured);
  const Result<Flow> flow = Execute(body);
  output_ = outer;
  FORGE_TRY(flow.status());
  return captured.Take();
}

Status Runtime::ExecuteSetBlock(const Stmt& stmt) {
  Value value;
  {
    const Block block(*this, scope_);
    FORGE_ASSIGN_OR_RETURN(Text text, Capture(stmt.bodies[0]));
    value = Value(std::move(text));
  }
  if (stmt.expr != nullptr) {
    FORGE_ASSIGN_OR_RETURN(value, ApplyFilters(*stmt.expr, value));
  }
  return Assign(stmt.targets[0], value);
}

Status Runtime::ExecuteFilterBlock(const Stmt& stmt) {
  Value value;
  {
    const Block block(*this, scope_);
    FORGE_ASSIGN_OR_RETURN(Text text, Capture(stmt.bodies[0]));
    value = Value(std::move(text));
  }
  FORGE_ASSIGN_OR_RETURN(value, ApplyFilters(*stmt.expr, value));
  return Print(value);
}

Result<Value> Runtime::ApplyFilters(const Expr& chain, const Value& value) {
  const Value* const outer = std::exchange(block_value_, &value);
  Result<Value> result = Evaluate(chain);
  block_value_ = outer;
  return result;
}

Status Runtime::ExecuteCallBlock(const Stmt& stmt) {
  const Expr& call = *stmt.expr;
  FORGE_ASSIGN_OR_RETURN(const Value callee, Evaluate(*call.children[0]));
  FORGE_ASSIGN_OR_RETURN(Arguments arguments, EvaluateArguments(call.arguments));
  arguments.named.emplace_back("caller", MakeMacro(*stmt.macro));
  line_ = stmt.line;
  FORGE_ASSIGN_OR_RETURN(const Value value, Call(callee, arguments));
  return Print(value);
}

Status Runtime::ExecuteWith(const Stmt& stmt) {
  std::vector<Value> values;
  for (const ExprPtr& expr : stmt.values) {
    FORGE_ASSIGN_OR_RETURN(Value value, Evaluate(*expr));
    values.push_back(std::move(value));
  }
  const Block block(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) FORGE_TRY(Assign(stmt.targets[i], values[i]));
  return Execute(stmt.bodies[0]).status();
}

Status Runtime::Assign(const Target& target, const Value& value) {
  if (!target.attribute.empty()) {
    const Value object = Lookup(target.name);
    if (!object.Is(Value::Kind::kNamespace))
      return Fail("cannot set an attribute of '" + target.name + "', which is no namespace");
    if (!budget_.Allocate(sizeof(Value) + target.attribute.size())) return Fail(budget_.what());
    NamespaceData& names = object.names();
    if (Value* const entry = names.Find(target.attribute, budget_)) {
      *entry = value;
    } else {
      names.entries.emplace_back(target.attribute, value);
    }
    return Status();
  }
  if (target.parts.empty()) {
    if (!budget_.Allocate(sizeof(Value) + target.name.size())) return Fail(budget_.what());
    scope_->names.insert_or_assign(target.name, value);
    return Status();
  }
  FORGE_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(*this, value));
  if (items.size() != target.parts.size())
    return Fail((items.size() < target.parts.size() ? "not enough" : "too many") +
                std::string(" values to unpack: ") + std::to_string(items.size()) + " for " +
                std::to_string(target.parts.size()) + " names");
  for (size_t i = 0; i < items.size(); ++i) FORGE_TRY(Assign(target.parts[i], items[i]));
  return Status();
}

}  // namespace forge::jinja
