#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/text/jinja/value.h"

// The tree of a parsed template. Immutable once parsed; its depth is bounded by
// Limits::max_nesting, so that recursion over it is safe.
namespace forge::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class Operator : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

// An argument of a call: `value`, `name=value`, `*value` or `**value`.
struct Argument {
  enum class Kind : uint8_t { kPlain, kNamed, kList, kDict };
  Kind kind = Kind::kPlain;
  std::string name;
  ExprPtr value;
};

struct Expr {
  enum class Kind : uint8_t {
    kConstant,   // constant
    kName,       // name
    kList,       // children
    kTuple,      // children
    kDict,       // children: key, value, key, value, ...
    kAttribute,  // children[0].name
    kItem,       // children[0][children[1]]
    kSlice,      // children[0][children[1]:children[2]:children[3]]; null where absent
    kCall,       // children[0](arguments)
    kFilter,     // children[0] | name(arguments); no child in a filter block
    kTest,       // children[0] is name(arguments)
    kNot,
    kNegate,
    kPlus,
    kBinary,       // children[0] op children[1]
    kCompare,      // children[0] operators[0] children[1] operators[1] ...
    kConcatenate,  // children, by ~
    kAnd,
    kOr,
    kConditional,  // children[0] if children[1] else children[2]; null without else
  };
  Kind kind = Kind::kConstant;
  Operator op = Operator::kAdd;
  uint32_t line = 0;
  uint32_t depth = 1;
  std::string name;
  Value constant;
  std::vector<ExprPtr> children;
  std::vector<Operator> operators;
  std::vector<Argument> arguments;
};

// Where `set` and `for` put a value: a name, `namespace.attribute`, or a tuple of such.
struct Target {
  std::string name;       // empty for a tuple
  std::string attribute;  // of the namespace `name`; empty for a plain name
  std::vector<Target> parts;
};

struct Parameter {
  std::string name;
  ExprPtr value;  // the default; null: none
};

// What macros and call blocks have in common.
struct MacroNode {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  // Whether the body names these, which then take what no parameter does.
  bool takes_varargs = false;
  bool takes_kwargs = false;
  bool takes_caller = false;
};

struct Stmt {
  enum class Kind : uint8_t {
    kData,      // text
    kPrint,     // expr
    kIf,        // branches, and bodies[branches.size()] for else
    kFor,       // target in expr if condition; bodies[0], else bodies[1]
    kSet,       // targets = expr
    kSetBlock,  // target: bodies[0] through the filters of expr, or null
    kMacro,     // macro
    kCall,      // expr is the call, macro what `caller` means
    kFilter,    // expr is the chain of filters, bodies[0]
    kWith,      // targets = values, bodies[0]
    kScope,     // bodies[0]; what `generation` marks
    kBreak,
    kContinue,
  };
  Kind kind = Kind::kData;
  uint32_t line = 0;
  bool is_recursive = false;
  std::string text;
  ExprPtr expr;
  ExprPtr condition;
  std::vector<ExprPtr> branches;
  std::vector<Target> targets;
  std::vector<ExprPtr> values;
  std::vector<Body> bodies;
  std::unique_ptr<MacroNode> macro;
};

}  // namespace forge::jinja
