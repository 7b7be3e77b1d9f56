#pragma once

#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/budget.h"
#include "engine/text/jinja/value.h"
#include "kernels/base/result.h"

namespace forge::jinja {

// What a call was given.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Native;

// Names and their values; those of `parent` are seen through it.
struct Scope {
  std::map<std::string, Value, std::less<>> names;
  Scope* parent = nullptr;
  bool is_kept = false;  // a macro looks into it, so it outlives its block
};

// A macro with the scope it sees.
struct MacroData {
  const MacroNode* node = nullptr;
  Scope* scope = nullptr;
};

// Renders one template once: walks its tree, keeps its names and counts what it uses.
//
// The semantics are those of Jinja2 3.1 in its immutable sandbox, with undefined names that print
// as nothing. Not thread-safe. Lifetime: the tree must outlive it.
class Runtime {
 public:
  // `now`: what strftime_now tells.
  Runtime(const Limits& limits, const std::tm& now);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  void Define(std::string_view name, Value value);
  // kFailedPrecondition naming the line; kInvalidArgument where the template itself raised.
  Result<Text> Render(const Body& body);

  // --- For functions, filters and tests
  Budget& budget() { return budget_; }
  const std::tm& now() const { return now_; }
  // The error of the line that runs.
  Status Fail(std::string_view problem) const;
  Result<Value> Call(const Value& callee, const Arguments& arguments);
  Result<Value> ApplyFilter(std::string_view name, const Value& value, const Arguments& arguments);
  Result<bool> ApplyTest(std::string_view name, const Value& value, const Arguments& arguments);
  // `value.name`, `value[key]`: undefined if there is none.
  Value GetAttribute(const Value& value, std::string_view name);
  Value GetItem(const Value& value, const Value& key);
  Value MakeNamespace(std::vector<std::pair<std::string, Value>> entries);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };

  // A scope for a block; while it lives, names are set there.
  class Block;
  // Counts how deep evaluations are in one another.
  class Level;

  Status CheckLevel() const;

  // --- Statements
  Result<Flow> Execute(const Body& body);
  Result<Flow> Execute(const Stmt& stmt);
  Result<Flow> ExecuteIf(const Stmt& stmt);
  Result<Flow> ExecuteScope(const Stmt& stmt);
  Status ExecuteFor(const Stmt& stmt, const Value& items, uint32_t depth);
  Result<std::vector<Value>> ItemsFor(const Stmt& stmt, const Value& items);
  Status ExecuteSetBlock(const Stmt& stmt);
  Status ExecuteCallBlock(const Stmt& stmt);
  Status ExecuteFilterBlock(const Stmt& stmt);
  Status ExecuteWith(const Stmt& stmt);
  Status Assign(const Target& target, const Value& value);
  Status Print(const Value& value);
  // What a body prints. Restores the output and scope whatever happens.
  Result<Text> Capture(const Body& body);

  // --- Expressions
  Result<Value> Evaluate(const Expr& expr);
  Result<Value> EvaluateInner(const Expr& expr);
  Value Lookup(std::string_view name) const;
  Result<Value> EvaluateDict(const Expr& expr);
  Result<Value> EvaluateSequence(const Expr& expr);
  Result<Value> EvaluateSlice(const Expr& expr);
  Result<Value> EvaluateCall(const Expr& expr);
  Result<Value> EvaluateFilter(const Expr& expr);
  Result<Value> EvaluateTest(const Expr& expr);
  Result<Value> EvaluateCompare(const Expr& expr);
  Result<Value> EvaluateConcatenation(const Expr& expr);
  Result<Value> EvaluateUnary(const Expr& expr);
  Result<Value> EvaluateConditional(const Expr& expr);
  Result<Arguments> EvaluateArguments(const std::vector<Argument>& arguments);
  // Runs a chain of filters of a block, whose innermost has no operand, on `value`.
  Result<Value> ApplyFilters(const Expr& chain, const Value& value);

  // --- Macros and loops
  Value MakeMacro(const MacroNode& node);
  Result<Value> CallMacro(const MacroData& macro, const Arguments& arguments);
  Status BindParameters(const MacroNode& node, const Arguments& arguments);
  Status BindExtras(const MacroNode& node, const Arguments& arguments);
  Result<Value> CallLoop(LoopState& loop, const Arguments& arguments);

  Budget budget_;
  const std::tm now_;
  uint32_t line_ = 0;   // of what runs
  uint32_t depth_ = 0;  // of evaluations
  Scope root_;
  Scope* scope_ = &root_;
  TextBuilder* output_ = nullptr;
  const Value* block_value_ = nullptr;  // what the innermost filter of a block works on
  // Owned until the end, because values point to them.
  std::vector<std::unique_ptr<Scope>> kept_scopes_;
  std::deque<MacroData> macros_;
  std::deque<NamespaceData> namespaces_;
  std::deque<LoopState> loops_;
};

}  // namespace forge::jinja
