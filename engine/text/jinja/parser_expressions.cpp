#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "engine/text/jinja/parser.h"

namespace forge::jinja {
namespace {

using Kind = Token::Kind;

std::optional<Operator> ComparisonOf(const Token& token) {
  constexpr std::array<std::pair<std::string_view, Operator>, 6> kComparisons = {{
      {"==", Operator::kEqual},
      {"!=", Operator::kNotEqual},
      {"<", Operator::kLess},
      {"<=", Operator::kLessEqual},
      {">", Operator::kGreater},
      {">=", Operator::kGreaterEqual},
  }};
  if (token.kind != Kind::kOperator) return std::nullopt;
  for (const auto& [text, op] : kComparisons)
    if (token.text == text) return op;
  return std::nullopt;
}

}  // namespace

ExpressionParser::ExpressionParser(const std::vector<Token>& tokens, const Limits& limits)
    : tokens_(tokens), limits_(limits) {}

const Token& ExpressionParser::Peek(size_t n) const {
  return tokens_[std::min(next_ + n, tokens_.size() - 1)];
}

const Token& ExpressionParser::Take() {
  const Token& token = Peek();
  ++next_;
  return token;
}

bool ExpressionParser::IsOperator(std::string_view op, size_t n) const {
  return Peek(n).kind == Kind::kOperator && Peek(n).text == op;
}

bool ExpressionParser::IsWord(std::string_view word, size_t n) const {
  return Peek(n).kind == Kind::kName && Peek(n).text == word;
}

bool ExpressionParser::TakeOperator(std::string_view op) {
  if (!IsOperator(op)) return false;
  ++next_;
  return true;
}

bool ExpressionParser::TakeWord(std::string_view word) {
  if (!IsWord(word)) return false;
  ++next_;
  return true;
}

Status ExpressionParser::ExpectOperator(std::string_view op) {
  if (TakeOperator(op)) return Status();
  return Unexpected("'" + std::string(op) + "'");
}

Result<std::string> ExpressionParser::ExpectName(std::string_view what) {
  if (Peek().kind != Kind::kName) return Unexpected(what);
  return Take().text;
}

Status ExpressionParser::Unexpected(std::string_view expected) const {
  return TemplateError(Peek().line,
                       "unexpected " + Describe(Peek()) + ", expected " + std::string(expected));
}

Status ExpressionParser::CheckNesting() const {
  if (nesting_ <= limits_.max_nesting) return Status();
  return TemplateError(
      Peek().line, "it is nested deeper than " + std::to_string(limits_.max_nesting) + " levels");
}

ExprPtr ExpressionParser::Make(Expr::Kind kind) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = Peek().line;
  return expr;
}

Status ExpressionParser::Adopt(Expr& parent, ExprPtr child) const {
  if (child != nullptr) parent.depth = std::max(parent.depth, child->depth + 1);
  parent.children.push_back(std::move(child));
  if (parent.depth <= limits_.max_nesting) return Status();
  return TemplateError(parent.line, "an expression is nested deeper than " +
                                        std::to_string(limits_.max_nesting) + " levels");
}

// --- Levels of precedence, the loosest first

Result<ExprPtr> ExpressionParser::ParseExpression(bool with_condition) {
  const Nesting nesting(*this);
  FORGE_TRY(CheckNesting());
  return with_condition ? ParseConditional() : ParseOr();
}

Result<ExprPtr> ExpressionParser::ParseConditional() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr expr, ParseOr());
  while (IsWord("if")) {
    ExprPtr conditional = Make(Expr::Kind::kConditional);
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr condition, ParseOr());
    ExprPtr otherwise;
    if (TakeWord("else")) {
      FORGE_ASSIGN_OR_RETURN(otherwise, ParseExpression());
    }
    FORGE_TRY(Adopt(*conditional, std::move(expr)));
    FORGE_TRY(Adopt(*conditional, std::move(condition)));
    FORGE_TRY(Adopt(*conditional, std::move(otherwise)));
    expr = std::move(conditional);
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseOr() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr left, ParseAnd());
  while (IsWord("or")) {
    ExprPtr expr = Make(Expr::Kind::kOr);
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr right, ParseAnd());
    FORGE_TRY(Adopt(*expr, std::move(left)));
    FORGE_TRY(Adopt(*expr, std::move(right)));
    left = std::move(expr);
  }
  return left;
}

Result<ExprPtr> ExpressionParser::ParseAnd() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr left, ParseNot());
  while (IsWord("and")) {
    ExprPtr expr = Make(Expr::Kind::kAnd);
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr right, ParseNot());
    FORGE_TRY(Adopt(*expr, std::move(left)));
    FORGE_TRY(Adopt(*expr, std::move(right)));
    left = std::move(expr);
  }
  return left;
}

Result<ExprPtr> ExpressionParser::ParseNot() {
  if (!IsWord("not")) return ParseCompare();
  const Nesting nesting(*this);
  FORGE_TRY(CheckNesting());
  ExprPtr expr = Make(Expr::Kind::kNot);
  Take();
  FORGE_ASSIGN_OR_RETURN(ExprPtr operand, ParseNot());
  FORGE_TRY(Adopt(*expr, std::move(operand)));
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseCompare() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr first, ParseSum());
  ExprPtr expr = Make(Expr::Kind::kCompare);
  while (true) {
    std::optional<Operator> op = ComparisonOf(Peek());
    if (op) {
      Take();
    } else if (TakeWord("in")) {
      op = Operator::kIn;
    } else if (IsWord("not") && IsWord("in", 1)) {
      Take();
      Take();
      op = Operator::kNotIn;
    } else {
      break;
    }
    FORGE_ASSIGN_OR_RETURN(ExprPtr operand, ParseSum());
    if (expr->children.empty()) FORGE_TRY(Adopt(*expr, std::move(first)));
    FORGE_TRY(Adopt(*expr, std::move(operand)));
    expr->operators.push_back(*op);
  }
  return expr->children.empty() ? std::move(first) : std::move(expr);
}

Result<ExprPtr> ExpressionParser::ParseBinary(Level operand,
                                              std::span<const std::string_view> names,
                                              std::span<const Operator> operators) {
  FORGE_ASSIGN_OR_RETURN(ExprPtr left, (this->*operand)());
  while (true) {
    size_t i = 0;
    while (i < names.size() && !IsOperator(names[i])) ++i;
    if (i == names.size()) return left;
    ExprPtr expr = Make(Expr::Kind::kBinary);
    expr->op = operators[i];
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr right, (this->*operand)());
    FORGE_TRY(Adopt(*expr, std::move(left)));
    FORGE_TRY(Adopt(*expr, std::move(right)));
    left = std::move(expr);
  }
}

Result<ExprPtr> ExpressionParser::ParseSum() {
  constexpr std::string_view kNames[] = {"+", "-"};
  constexpr Operator kOperators[] = {Operator::kAdd, Operator::kSubtract};
  return ParseBinary(&ExpressionParser::ParseConcatenation, kNames, kOperators);
}

Result<ExprPtr> ExpressionParser::ParseConcatenation() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr first, ParseProduct());
  if (!IsOperator("~")) return first;
  ExprPtr expr = Make(Expr::Kind::kConcatenate);
  FORGE_TRY(Adopt(*expr, std::move(first)));
  while (TakeOperator("~")) {
    FORGE_ASSIGN_OR_RETURN(ExprPtr operand, ParseProduct());
    FORGE_TRY(Adopt(*expr, std::move(operand)));
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseProduct() {
  constexpr std::string_view kNames[] = {"*", "/", "//", "%"};
  constexpr Operator kOperators[] = {Operator::kMultiply, Operator::kDivide, Operator::kFloorDivide,
                                     Operator::kModulo};
  return ParseBinary(&ExpressionParser::ParsePower, kNames, kOperators);
}

Result<ExprPtr> ExpressionParser::ParsePower() {
  FORGE_ASSIGN_OR_RETURN(ExprPtr left, ParseUnary());
  while (IsOperator("**")) {
    ExprPtr expr = Make(Expr::Kind::kBinary);
    expr->op = Operator::kPower;
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr right, ParseUnary());
    FORGE_TRY(Adopt(*expr, std::move(left)));
    FORGE_TRY(Adopt(*expr, std::move(right)));
    left = std::move(expr);
  }
  return left;
}

Result<ExprPtr> ExpressionParser::ParseUnary(bool with_filters) {
  const Nesting nesting(*this);
  FORGE_TRY(CheckNesting());
  ExprPtr expr;
  if (IsOperator("-") || IsOperator("+")) {
    expr = Make(IsOperator("-") ? Expr::Kind::kNegate : Expr::Kind::kPlus);
    Take();
    FORGE_ASSIGN_OR_RETURN(ExprPtr operand, ParseUnary(/*with_filters=*/false));
    FORGE_TRY(Adopt(*expr, std::move(operand)));
  } else {
    FORGE_ASSIGN_OR_RETURN(expr, ParsePrimary());
  }
  FORGE_ASSIGN_OR_RETURN(expr, ParsePostfix(std::move(expr)));
  if (!with_filters) return expr;
  return ParseFilters(std::move(expr));
}

}  // namespace forge::jinja
