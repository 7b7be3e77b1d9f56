#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "engine/text/jinja/parser.h"

// Values, and what follows them: attributes, items, calls, filters and tests.

namespace forge::jinja {
namespace {

using Kind = Token::Kind;

}  // namespace

Result<ExprPtr> ExpressionParser::ParsePrimary() {
  switch (Peek().kind) {
    case Kind::kName:
      return ParseName();
    case Kind::kString: {
      ExprPtr expr = Make(Expr::Kind::kConstant);
      std::string text;
      while (Peek().kind == Kind::kString) text += Take().text;
      expr->constant = Value(std::string_view(text));
      return expr;
    }
    case Kind::kInteger:
    case Kind::kFloat:
      return ParseNumber();
    default:
      break;
  }
  if (IsOperator("(")) return ParseBrackets();
  if (IsOperator("[")) return ParseListLiteral();
  if (IsOperator("{")) return ParseDictLiteral();
  return Unexpected("a value");
}

Result<ExprPtr> ExpressionParser::ParseName() {
  ExprPtr expr = Make(Expr::Kind::kConstant);
  const std::string& word = Take().text;
  if (word == "true" || word == "True") {
    expr->constant = Value(true);
  } else if (word == "false" || word == "False") {
    expr->constant = Value(false);
  } else if (word != "none" && word != "None") {
    expr->kind = Expr::Kind::kName;
    expr->name = word;
    special_names_.varargs |= word == "varargs";
    special_names_.kwargs |= word == "kwargs";
    special_names_.caller |= word == "caller";
  }
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseNumber() {
  ExprPtr expr = Make(Expr::Kind::kConstant);
  const Token& token = Take();
  const char* const end = token.text.data() + token.text.size();
  int64_t integer = 0;
  double number = 0.0;
  const bool is_float = token.kind == Kind::kFloat;
  const auto result = is_float ? std::from_chars(token.text.data(), end, number)
                               : std::from_chars(token.text.data(), end, integer);
  if (result.ec != std::errc() || result.ptr != end)
    return TemplateError(token.line, "a number is out of range: " + Describe(token));
  expr->constant = is_float ? Value(number) : Value(integer);
  return expr;
}

// A value in brackets, or a tuple.
Result<ExprPtr> ExpressionParser::ParseBrackets() {
  ExprPtr empty = Make(Expr::Kind::kTuple);
  Take();
  if (TakeOperator(")")) return empty;
  FORGE_ASSIGN_OR_RETURN(ExprPtr expr, ParseTuple());
  FORGE_TRY(ExpectOperator(")"));
  return expr;
}

bool ExpressionParser::TupleEnds(std::string_view end) const {
  const Kind kind = Peek().kind;
  return kind == Kind::kBlockEnd || kind == Kind::kVariableEnd || kind == Kind::kEnd ||
         IsOperator(")") || (!end.empty() && IsWord(end));
}

Result<ExprPtr> ExpressionParser::ParseTuple(bool with_condition, std::string_view end) {
  FORGE_ASSIGN_OR_RETURN(ExprPtr first, ParseExpression(with_condition));
  if (!IsOperator(",")) return first;
  ExprPtr tuple = Make(Expr::Kind::kTuple);
  FORGE_TRY(Adopt(*tuple, std::move(first)));
  while (TakeOperator(",")) {
    if (TupleEnds(end)) break;
    FORGE_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression(with_condition));
    FORGE_TRY(Adopt(*tuple, std::move(item)));
  }
  return tuple;
}

Result<ExprPtr> ExpressionParser::ParseListLiteral() {
  ExprPtr list = Make(Expr::Kind::kList);
  Take();
  while (!IsOperator("]")) {
    if (!list->children.empty()) FORGE_TRY(ExpectOperator(","));
    if (IsOperator("]")) break;
    FORGE_ASSIGN_OR_RETURN(ExprPtr item, ParseExpression());
    FORGE_TRY(Adopt(*list, std::move(item)));
  }
  FORGE_TRY(ExpectOperator("]"));
  return list;
}

Result<ExprPtr> ExpressionParser::ParseDictLiteral() {
  ExprPtr dict = Make(Expr::Kind::kDict);
  Take();
  while (!IsOperator("}")) {
    if (!dict->children.empty()) FORGE_TRY(ExpectOperator(","));
    if (IsOperator("}")) break;
    FORGE_ASSIGN_OR_RETURN(ExprPtr key, ParseExpression());
    FORGE_TRY(ExpectOperator(":"));
    FORGE_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    FORGE_TRY(Adopt(*dict, std::move(key)));
    FORGE_TRY(Adopt(*dict, std::move(value)));
  }
  FORGE_TRY(ExpectOperator("}"));
  return dict;
}

// --- What follows a value

Result<ExprPtr> ExpressionParser::ParsePostfix(ExprPtr expr) {
  while (true) {
    if (IsOperator(".") || IsOperator("[")) {
      FORGE_ASSIGN_OR_RETURN(expr, ParseSubscript(std::move(expr)));
    } else if (IsOperator("(")) {
      FORGE_ASSIGN_OR_RETURN(expr, ParseCall(std::move(expr)));
    } else {
      return expr;
    }
  }
}

// `is_after_name`: a filter block starts with the filter's name, without a bar.
Result<ExprPtr> ExpressionParser::ParseFilters(ExprPtr expr, bool is_after_name) {
  while (true) {
    if (is_after_name || TakeOperator("|")) {
      FORGE_ASSIGN_OR_RETURN(expr, ParseFilter(std::move(expr)));
    } else if (expr != nullptr && TakeWord("is")) {
      FORGE_ASSIGN_OR_RETURN(expr, ParseTest(std::move(expr)));
    } else if (expr != nullptr && IsOperator("(")) {
      FORGE_ASSIGN_OR_RETURN(expr, ParseCall(std::move(expr)));
    } else {
      return expr;
    }
    is_after_name = false;
  }
}

Result<ExprPtr> ExpressionParser::ParseSubscript(ExprPtr object) {
  if (TakeOperator(".")) {
    ExprPtr expr = Make(Expr::Kind::kAttribute);
    if (Peek().kind == Kind::kInteger) {
      expr->kind = Expr::Kind::kItem;
      FORGE_ASSIGN_OR_RETURN(ExprPtr index, ParseNumber());
      FORGE_TRY(Adopt(*expr, std::move(object)));
      FORGE_TRY(Adopt(*expr, std::move(index)));
      return expr;
    }
    FORGE_ASSIGN_OR_RETURN(expr->name, ExpectName("a name after '.'"));
    FORGE_TRY(Adopt(*expr, std::move(object)));
    return expr;
  }
  Take();
  FORGE_ASSIGN_OR_RETURN(ExprPtr expr, ParseSubscriptArgument(std::move(object)));
  FORGE_TRY(ExpectOperator("]"));
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseSubscriptArgument(ExprPtr object) {
  ExprPtr expr = Make(Expr::Kind::kItem);
  FORGE_TRY(Adopt(*expr, std::move(object)));
  std::array<ExprPtr, 3> parts;
  size_t n_parts = 0;
  bool is_slice = false;
  while (true) {
    if (!IsOperator(":") && !IsOperator("]")) {
      FORGE_ASSIGN_OR_RETURN(parts[n_parts], ParseExpression());
    }
    if (n_parts == 2 || !TakeOperator(":")) break;
    is_slice = true;
    ++n_parts;
  }
  if (!is_slice && parts[0] == nullptr) return Unexpected("an index");
  if (is_slice) expr->kind = Expr::Kind::kSlice;
  for (size_t i = 0; i < (is_slice ? 3 : 1); ++i) FORGE_TRY(Adopt(*expr, std::move(parts[i])));
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseCall(ExprPtr callee) {
  ExprPtr expr = Make(Expr::Kind::kCall);
  FORGE_TRY(Adopt(*expr, std::move(callee)));
  FORGE_TRY(ParseArguments(expr->arguments));
  for (const Argument& argument : expr->arguments)
    expr->depth = std::max(expr->depth, argument.value->depth + 1);
  return expr;
}

Status ExpressionParser::ParseArguments(std::vector<Argument>& arguments) {
  FORGE_TRY(ExpectOperator("("));
  while (!IsOperator(")")) {
    if (!arguments.empty()) FORGE_TRY(ExpectOperator(","));
    if (IsOperator(")")) break;
    FORGE_TRY(ParseArgument(arguments));
  }
  return ExpectOperator(")");
}

Status ExpressionParser::ParseArgument(std::vector<Argument>& arguments) {
  Argument argument;
  if (TakeOperator("*")) {
    argument.kind = Argument::Kind::kList;
  } else if (TakeOperator("**")) {
    argument.kind = Argument::Kind::kDict;
  } else if (Peek().kind == Kind::kName && IsOperator("=", 1)) {
    argument.kind = Argument::Kind::kNamed;
    argument.name = Take().text;
    Take();
  } else if (!arguments.empty() && arguments.back().kind != Argument::Kind::kPlain) {
    return TemplateError(Peek().line, "an argument without a name follows one with a name");
  }
  FORGE_ASSIGN_OR_RETURN(argument.value, ParseExpression());
  arguments.push_back(std::move(argument));
  return Status();
}

Result<ExprPtr> ExpressionParser::ParseFilter(ExprPtr value) {
  ExprPtr expr = Make(Expr::Kind::kFilter);
  FORGE_ASSIGN_OR_RETURN(expr->name, ExpectName("the name of a filter"));
  while (TakeOperator(".")) {
    FORGE_ASSIGN_OR_RETURN(const std::string part, ExpectName("the name of a filter"));
    expr->name += "." + part;
  }
  if (value != nullptr) FORGE_TRY(Adopt(*expr, std::move(value)));
  if (IsOperator("(")) FORGE_TRY(ParseArguments(expr->arguments));
  return expr;
}

Result<ExprPtr> ExpressionParser::ParseTest(ExprPtr value) {
  const bool is_negated = TakeWord("not");
  ExprPtr expr = Make(Expr::Kind::kTest);
  FORGE_ASSIGN_OR_RETURN(expr->name, ExpectName("the name of a test"));
  while (TakeOperator(".")) {
    FORGE_ASSIGN_OR_RETURN(const std::string part, ExpectName("the name of a test"));
    expr->name += "." + part;
  }
  FORGE_TRY(Adopt(*expr, std::move(value)));
  const Kind kind = Peek().kind;
  const bool is_value = kind == Kind::kString || kind == Kind::kInteger || kind == Kind::kFloat ||
                        IsOperator("[") || IsOperator("{") ||
                        (kind == Kind::kName && !IsWord("else") && !IsWord("or") &&
                         !IsWord("and") && !IsWord("if") && !IsWord("not") && !IsWord("in"));
  if (IsOperator("(")) {
    FORGE_TRY(ParseArguments(expr->arguments));
  } else if (is_value) {
    if (IsWord("is")) return TemplateError(Peek().line, "tests cannot be chained with 'is'");
    FORGE_ASSIGN_OR_RETURN(ExprPtr argument, ParsePrimary());
    FORGE_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    expr->depth = std::max(expr->depth, argument->depth + 1);
    expr->arguments.push_back({Argument::Kind::kPlain, {}, std::move(argument)});
  }
  if (!is_negated) return expr;
  ExprPtr negated = Make(Expr::Kind::kNot);
  FORGE_TRY(Adopt(*negated, std::move(expr)));
  return negated;
}

}  // namespace forge::jinja
