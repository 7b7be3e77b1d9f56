#include <initializer_list>
#include <utility>

#include "engine/text/jinja/parser.h"

namespace forge::jinja {
namespace {

using Kind = Token::Kind;
using Words = std::initializer_list<std::string_view>;
using StmtPtr = std::unique_ptr<Stmt>;

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Result<Body> Run() { return ParseBody({}); }

 private:
  // Statements up to one of the tags `ends`, whose name is the next token then; or to the end of
  // the template if there are none.
  Result<Body> ParseBody(Words ends);
  // A body and the tag that ends it, which must be {% end %}.
  Result<Body> ParseClosedBody(std::string_view end);
  Status EndTag();

  Result<StmtPtr> ParseTag();
  Result<StmtPtr> ParseIf();
  Result<StmtPtr> ParseFor();
  Result<StmtPtr> ParseSet();
  Result<StmtPtr> ParseMacro();
  Result<StmtPtr> ParseCallBlock();
  Result<StmtPtr> ParseFilterBlock();
  Result<StmtPtr> ParseWith();
  Result<StmtPtr> ParseScope();
  Result<StmtPtr> ParsePrint();
  Result<StmtPtr> ParsePrintTag();
  Result<StmtPtr> ParseLoopControl();

  Result<Target> ParseTarget(std::string_view end);
  Result<Target> ParseTargetPart();
  Status ParseParameters(MacroNode& macro);
  Status ParseMacroBody(MacroNode& macro, std::string_view end);

  StmtPtr Make(Stmt::Kind kind) const {
    auto stmt = std::make_unique<Stmt>();
    stmt->kind = kind;
    stmt->line = Peek().line;
    return stmt;
  }

  uint32_t n_loops_ = 0;  // that the tags open now stand in
};

std::string Join(Words words) {
  std::string joined;
  for (const std::string_view word : words)
    joined += (joined.empty() ? "'" : ", '") + std::string(word) + "'";
  return joined;
}

Result<Body> Parser::ParseBody(Words ends) {
  const Nesting nesting(*this);
  FORGE_TRY(CheckNesting());
  Body body;
  while (true) {
    switch (Peek().kind) {
      case Kind::kData: {
        StmtPtr data = Make(Stmt::Kind::kData);
        data->text = Take().text;
        body.push_back(std::move(data));
        break;
      }
      case Kind::kVariableBegin: {
        Take();
        FORGE_ASSIGN_OR_RETURN(StmtPtr print, ParsePrint());
        if (Peek().kind != Kind::kVariableEnd) return Unexpected("'}}'");
        Take();
        body.push_back(std::move(print));
        break;
      }
      case Kind::kBlockBegin: {
        Take();
        for (const std::string_view end : ends)
          if (IsWord(end)) return body;
        FORGE_ASSIGN_OR_RETURN(StmtPtr stmt, ParseTag());
        body.push_back(std::move(stmt));
        break;
      }
      default:
        if (ends.size() == 0) return body;
        return TemplateError(
            Peek().line, "the template ends where one of the tags " + Join(ends) + " is missing");
    }
  }
}

Result<Body> Parser::ParseClosedBody(std::string_view end) {
  FORGE_ASSIGN_OR_RETURN(Body body, ParseBody({end}));
  Take();
  FORGE_TRY(EndTag());
  return body;
}

Status Parser::EndTag() {
  if (Peek().kind != Kind::kBlockEnd) return Unexpected("'%}'");
  Take();
  return Status();
}

Result<StmtPtr> Parser::ParseTag() {
  using Method = Result<StmtPtr> (Parser::*)();
  constexpr std::pair<std::string_view, Method> kTags[] = {
      {"if", &Parser::ParseIf},
      {"for", &Parser::ParseFor},
      {"set", &Parser::ParseSet},
      {"macro", &Parser::ParseMacro},
      {"call", &Parser::ParseCallBlock},
      {"filter", &Parser::ParseFilterBlock},
      {"with", &Parser::ParseWith},
      {"generation", &Parser::ParseScope},
      {"break", &Parser::ParseLoopControl},
      {"continue", &Parser::ParseLoopControl},
      {"print", &Parser::ParsePrintTag},
  };
  for (const auto& [word, parse] : kTags)
    if (IsWord(word)) return (this->*parse)();
  return TemplateError(Peek().line, Peek().kind == Kind::kName
                                        ? "tag '" + Peek().text.substr(0, 40) +
                                              "' is unknown, or has nothing to end here"
                                        : std::string("a tag has no name"));
}

Result<StmtPtr> Parser::ParsePrint() {
  StmtPtr stmt = Make(Stmt::Kind::kPrint);
  FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseTuple());
  return stmt;
}

// Prints its values one after the other.
Result<StmtPtr> Parser::ParsePrintTag() {
  StmtPtr stmt = Make(Stmt::Kind::kPrint);
  Take();
  stmt->expr = std::make_unique<Expr>();
  stmt->expr->kind = Expr::Kind::kConcatenate;
  stmt->expr->line = stmt->line;
  do {
    FORGE_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    stmt->expr->children.push_back(std::move(value));
  } while (TakeOperator(","));
  FORGE_TRY(EndTag());
  return stmt;
}

Result<StmtPtr> Parser::ParseIf() {
  StmtPtr stmt = Make(Stmt::Kind::kIf);
  do {
    Take();  // if, elif
    FORGE_ASSIGN_OR_RETURN(ExprPtr condition, ParseTuple(/*with_condition=*/false));
    stmt->branches.push_back(std::move(condition));
    FORGE_TRY(EndTag());
    FORGE_ASSIGN_OR_RETURN(Body body, ParseBody({"elif", "else", "endif"}));
    stmt->bodies.push_back(std::move(body));
  } while (IsWord("elif"));
  Body otherwise;
  if (TakeWord("else")) {
    FORGE_TRY(EndTag());
    FORGE_ASSIGN_OR_RETURN(otherwise, ParseBody({"endif"}));
  }
  stmt->bodies.push_back(std::move(otherwise));
  Take();
  FORGE_TRY(EndTag());
  return stmt;
}

Result<StmtPtr> Parser::ParseFor() {
  StmtPtr stmt = Make(Stmt::Kind::kFor);
  Take();
  FORGE_ASSIGN_OR_RETURN(Target target, ParseTarget("in"));
  stmt->targets.push_back(std::move(target));
  if (!TakeWord("in")) return Unexpected("'in'");
  FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseTuple(/*with_condition=*/false, "recursive"));
  if (TakeWord("if")) {
    FORGE_ASSIGN_OR_RETURN(stmt->condition, ParseExpression());
  }
  stmt->is_recursive = TakeWord("recursive");
  FORGE_TRY(EndTag());
  ++n_loops_;
  Result<Body> body = ParseBody({"else", "endfor"});
  --n_loops_;
  FORGE_TRY(body.status());
  stmt->bodies.push_back(std::move(body).value());
  Body otherwise;
  if (TakeWord("else")) {
    FORGE_TRY(EndTag());
    FORGE_ASSIGN_OR_RETURN(otherwise, ParseBody({"endfor"}));
  }
  stmt->bodies.push_back(std::move(otherwise));
  Take();
  FORGE_TRY(EndTag());
  return stmt;
}

Result<Target> Parser::ParseTargetPart() {
  const Nesting nesting(*this);
  FORGE_TRY(CheckNesting());
  if (TakeOperator("(")) {
    FORGE_ASSIGN_OR_RETURN(Target inner, ParseTarget({}));
    FORGE_TRY(ExpectOperator(")"));
    return inner;
  }
  Target target;
  FORGE_ASSIGN_OR_RETURN(target.name, ExpectName("a name to assign to"));
  constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  for (const std::string_view reserved : kReserved)
    if (target.name == reserved)
      return TemplateError(Peek().line, "cannot assign to '" + target.name + "'");
  if (TakeOperator(".")) {
    FORGE_ASSIGN_OR_RETURN(target.attribute, ExpectName("an attribute to assign to"));
  }
  return target;
}

Result<Target> Parser::ParseTarget(std::string_view end) {
  FORGE_ASSIGN_OR_RETURN(Target first, ParseTargetPart());
  if (!IsOperator(",")) return first;
  Target tuple;
  tuple.parts.push_back(std::move(first));
  while (TakeOperator(",")) {
    if (IsOperator("=") || IsOperator(")") || (!end.empty() && IsWord(end))) break;
    FORGE_ASSIGN_OR_RETURN(Target part, ParseTargetPart());
    tuple.parts.push_back(std::move(part));
  }
  return tuple;
}

Result<StmtPtr> Parser::ParseSet() {
  StmtPtr stmt = Make(Stmt::Kind::kSet);
  Take();
  FORGE_ASSIGN_OR_RETURN(Target target, ParseTarget({}));
  stmt->targets.push_back(std::move(target));
  if (TakeOperator("=")) {
    FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseTuple());
    FORGE_TRY(EndTag());
    return stmt;
  }
  stmt->kind = Stmt::Kind::kSetBlock;
  FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseFilters(nullptr));
  FORGE_TRY(EndTag());
  FORGE_ASSIGN_OR_RETURN(Body body, ParseClosedBody("endset"));
  stmt->bodies.push_back(std::move(body));
  return stmt;
}

Status Parser::ParseParameters(MacroNode& macro) {
  FORGE_TRY(ExpectOperator("("));
  while (!IsOperator(")")) {
    if (!macro.parameters.empty()) FORGE_TRY(ExpectOperator(","));
    if (IsOperator(")")) break;
    Parameter parameter;
    FORGE_ASSIGN_OR_RETURN(parameter.name, ExpectName("the name of a parameter"));
    if (TakeOperator("=")) {
      FORGE_ASSIGN_OR_RETURN(parameter.value, ParseExpression());
    } else if (!macro.parameters.empty() && macro.parameters.back().value != nullptr) {
      return TemplateError(Peek().line, "a parameter without default follows one with default");
    }
    macro.parameters.push_back(std::move(parameter));
  }
  return ExpectOperator(")");
}

Status Parser::ParseMacroBody(MacroNode& macro, std::string_view end) {
  const SpecialNames outer = std::exchange(special_names_, SpecialNames());
  const uint32_t n_loops = std::exchange(n_loops_, 0);
  Result<Body> body = ParseClosedBody(end);
  n_loops_ = n_loops;
  const SpecialNames inner = std::exchange(special_names_, outer);
  FORGE_TRY(body.status());
  macro.body = std::move(body).value();
  macro.takes_varargs = inner.varargs;
  macro.takes_kwargs = inner.kwargs;
  macro.takes_caller = inner.caller;
  return Status();
}

Result<StmtPtr> Parser::ParseMacro() {
  StmtPtr stmt = Make(Stmt::Kind::kMacro);
  Take();
  stmt->macro = std::make_unique<MacroNode>();
  FORGE_ASSIGN_OR_RETURN(stmt->macro->name, ExpectName("the name of a macro"));
  FORGE_TRY(ParseParameters(*stmt->macro));
  FORGE_TRY(EndTag());
  FORGE_TRY(ParseMacroBody(*stmt->macro, "endmacro"));
  return stmt;
}

Result<StmtPtr> Parser::ParseCallBlock() {
  StmtPtr stmt = Make(Stmt::Kind::kCall);
  Take();
  stmt->macro = std::make_unique<MacroNode>();
  stmt->macro->name = "caller";
  if (IsOperator("(")) FORGE_TRY(ParseParameters(*stmt->macro));
  FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseExpression());
  if (stmt->expr->kind != Expr::Kind::kCall) return Unexpected("a call");
  FORGE_TRY(EndTag());
  FORGE_TRY(ParseMacroBody(*stmt->macro, "endcall"));
  return stmt;
}

Result<StmtPtr> Parser::ParseFilterBlock() {
  StmtPtr stmt = Make(Stmt::Kind::kFilter);
  Take();
  FORGE_ASSIGN_OR_RETURN(stmt->expr, ParseFilters(nullptr, /*is_after_name=*/true));
  FORGE_TRY(EndTag());
  FORGE_ASSIGN_OR_RETURN(Body body, ParseClosedBody("endfilter"));
  stmt->bodies.push_back(std::move(body));
  return stmt;
}

Result<StmtPtr> Parser::ParseWith() {
  StmtPtr stmt = Make(Stmt::Kind::kWith);
  Take();
  while (Peek().kind != Kind::kBlockEnd) {
    if (!stmt->targets.empty()) FORGE_TRY(ExpectOperator(","));
    FORGE_ASSIGN_OR_RETURN(Target target, ParseTargetPart());
    FORGE_TRY(ExpectOperator("="));
    FORGE_ASSIGN_OR_RETURN(ExprPtr value, ParseExpression());
    stmt->targets.push_back(std::move(target));
    stmt->values.push_back(std::move(value));
  }
  FORGE_TRY(EndTag());
  FORGE_ASSIGN_OR_RETURN(Body body, ParseClosedBody("endwith"));
  stmt->bodies.push_back(std::move(body));
  return stmt;
}

Result<StmtPtr> Parser::ParseScope() {
  StmtPtr stmt = Make(Stmt::Kind::kScope);
  Take();
  FORGE_TRY(EndTag());
  const uint32_t n_loops = std::exchange(n_loops_, 0);
  Result<Body> body = ParseClosedBody("endgeneration");
  n_loops_ = n_loops;
  FORGE_TRY(body.status());
  stmt->bodies.push_back(std::move(body).value());
  return stmt;
}

Result<StmtPtr> Parser::ParseLoopControl() {
  StmtPtr stmt = Make(IsWord("break") ? Stmt::Kind::kBreak : Stmt::Kind::kContinue);
  if (n_loops_ == 0) return TemplateError(Peek().line, "'" + Peek().text + "' outside of a loop");
  Take();
  FORGE_TRY(EndTag());
  return stmt;
}

}  // namespace

Result<Body> Parse(std::string_view source, const Limits& limits) {
  FORGE_ASSIGN_OR_RETURN(const std::vector<Token> tokens, Tokenize(source, limits));
  return Parser(tokens, limits).Run();
}

}  // namespace forge::jinja
