#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/lexer.h"
#include "kernels/base/result.h"

namespace forge::jinja {

// Parses a whole template. kFailedPrecondition naming the line and what was found there.
Result<Body> Parse(std::string_view source, const Limits& limits);

// Reads expressions off a list of tokens, by Jinja2's grammar.
class ExpressionParser {
 public:
  ExpressionParser(const std::vector<Token>& tokens, const Limits& limits);

 protected:
  // --- The tokens
  const Token& Peek(size_t n = 0) const;
  const Token& Take();
  bool IsOperator(std::string_view op, size_t n = 0) const;
  bool IsWord(std::string_view word, size_t n = 0) const;
  bool TakeOperator(std::string_view op);
  bool TakeWord(std::string_view word);
  Status ExpectOperator(std::string_view op);
  Result<std::string> ExpectName(std::string_view what);
  // "unexpected 'x', expected ..." at the current token.
  Status Unexpected(std::string_view expected) const;

  // --- Expressions
  Result<ExprPtr> ParseExpression(bool with_condition = true);
  // One expression, or a tuple without brackets, up to the end of the tag or the word `end`.
  Result<ExprPtr> ParseTuple(bool with_condition = true, std::string_view end = {});
  // What follows a value: attributes, items, calls; and filters and tests if wanted.
  Result<ExprPtr> ParsePostfix(ExprPtr expr);
  Result<ExprPtr> ParseFilters(ExprPtr expr, bool is_after_name = false);
  Result<ExprPtr> ParseUnary(bool with_filters = true);

  // Fails once nesting passes the limit; each open construct holds one.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };
  Status CheckNesting() const;

  // Names seen since they were last cleared that a macro's body asks for.
  struct SpecialNames {
    bool varargs = false, kwargs = false, caller = false;
  };
  SpecialNames special_names_;

 private:
  using Level = Result<ExprPtr> (ExpressionParser::*)();

  Result<ExprPtr> ParseConditional();
  Result<ExprPtr> ParseOr();
  Result<ExprPtr> ParseAnd();
  Result<ExprPtr> ParseNot();
  Result<ExprPtr> ParseCompare();
  Result<ExprPtr> ParseSum();
  Result<ExprPtr> ParseConcatenation();
  Result<ExprPtr> ParseProduct();
  Result<ExprPtr> ParsePower();
  Result<ExprPtr> ParsePrimary();
  Result<ExprPtr> ParseName();
  Result<ExprPtr> ParseNumber();
  Result<ExprPtr> ParseBrackets();
  Result<ExprPtr> ParseListLiteral();
  Result<ExprPtr> ParseDictLiteral();
  Result<ExprPtr> ParseSubscript(ExprPtr object);
  Result<ExprPtr> ParseSubscriptArgument(ExprPtr object);
  Result<ExprPtr> ParseCall(ExprPtr callee);
  Result<ExprPtr> ParseFilter(ExprPtr value);
  Result<ExprPtr> ParseTest(ExprPtr value);
  Status ParseArguments(std::vector<Argument>& arguments);
  Status ParseArgument(std::vector<Argument>& arguments);
  // Left-associative operators of one level.
  Result<ExprPtr> ParseBinary(Level operand, std::span<const std::string_view> names,
                              std::span<const Operator> operators);
  bool TupleEnds(std::string_view end) const;

  ExprPtr Make(Expr::Kind kind) const;
  // Puts `child` under `parent`; kFailedPrecondition when the tree gets too deep.
  Status Adopt(Expr& parent, ExprPtr child) const;

  const std::vector<Token>& tokens_;
  const Limits limits_;
  size_t next_ = 0;
  uint32_t nesting_ = 0;
};

}  // namespace forge::jinja
