#include "engine/grammar/tool_calls.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/grammar_limits.h"
#include "engine/grammar/json_schema.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/schema_document.h"

namespace forge {
namespace {

// How the calls of a format are written: as objects with these keys, one or a list of them, or as
// the arguments alone behind the name.
struct CallShape {
  bool is_list = false;
  bool is_named_before = false;
  bool is_either_order = false;  // of name and arguments, as Hermes models differ
  std::string_view name = "name";
  std::string_view arguments = "arguments";
  std::string_view number = {};  // a key before the name, which may be left out
  std::string_view id = {};      // a key behind the arguments, which may be left out
};

std::optional<CallShape> ShapeOf(ToolFormat format) {
  switch (format) {
    case ToolFormat::kQwen:
      return CallShape{.is_either_order = true};
    case ToolFormat::kGranite:
      return CallShape{.is_list = true};
    case ToolFormat::kMistral:
      return CallShape{.is_list = true, .id = "id"};
    case ToolFormat::kCommand:
      return CallShape{.is_list = true,
                       .name = "tool_name",
                       .arguments = "parameters",
                       .number = "tool_call_id"};
    case ToolFormat::kGptOss:
      return CallShape{.is_named_before = true};
    default:
      return std::nullopt;
  }
}

constexpr std::string_view kAnyArguments = R"({"type": "object"})";
constexpr std::string_view kNoArguments = R"({"type": "object", "additionalProperties": false})";

class CallCompiler {
 public:
  CallCompiler(const CallShape& shape, Grammar& grammar)
      : shape_(shape), grammar_(grammar), text_(grammar) {}

  // A call of one of `tools`, or a list of them.
  Result<GrammarNodeId> Calls(const Json& tools) {
    std::vector<GrammarNodeId> choices;
    for (const Json& tool : tools) {
      FORGE_ASSIGN_OR_RETURN(const GrammarNodeId call, Call(tool));
      choices.push_back(call);
    }
    const GrammarRuleId rule = grammar_.AddRule("call");
    grammar_.SetBody(rule, grammar_.Choice(choices));
    if (!shape_.is_list) return grammar_.Reference(rule);
    const GrammarNodeId more =
        grammar_.Sequence({text_.Space(), text_.Comma(), grammar_.Reference(rule)});
    return grammar_.Sequence({grammar_.Literal("["), text_.Space(), grammar_.Reference(rule),
                              grammar_.Repeat(more, 0, Grammar::kUnbounded), text_.Space(),
                              grammar_.Literal("]")});
  }

 private:
  Result<GrammarNodeId> Call(const Json& tool) {
    const auto& name = tool["name"].get_ref<const std::string&>();
    FORGE_ASSIGN_OR_RETURN(const GrammarRuleId arguments, Arguments(name, tool));
    if (shape_.is_named_before)
      return grammar_.Sequence(
          {grammar_.Literal(name + "\n"), text_.Space(), grammar_.Reference(arguments)});
    std::vector<GrammarNodeId> parts = {grammar_.Literal("{"), text_.Space()};
    if (!shape_.number.empty()) {
      GrammarNodeId number = Member(shape_.number, FreeString());
      parts.push_back(grammar_.Optional(grammar_.Sequence({number, text_.Comma()})));
    }
    const auto named = [&] { return Member(shape_.name, grammar_.Literal(Json(name).dump())); };
    const auto called = [&] { return Member(shape_.arguments, grammar_.Reference(arguments)); };
    std::vector<GrammarNodeId> orders = {grammar_.Sequence({named(), text_.Comma(), called()})};
    if (shape_.is_either_order)
      orders.push_back(grammar_.Sequence({called(), text_.Comma(), named()}));
    parts.push_back(grammar_.Choice(orders));
    if (!shape_.id.empty())
      parts.push_back(
          grammar_.Optional(grammar_.Sequence({text_.Comma(), Member(shape_.id, FreeString())})));
    parts.push_back(text_.Space());
    parts.push_back(grammar_.Literal("}"));
    return grammar_.Sequence(parts);
  }

  GrammarNodeId Member(std::string_view key, GrammarNodeId value) {
    return grammar_.Sequence(
        {grammar_.Literal(Json(key).dump() + ":"), text_.OptionalBlank(), value});
  }
  GrammarNodeId FreeString() { return text_.String(0, Grammar::kUnbounded); }

  Result<GrammarRuleId> Arguments(const std::string& name, const Json& tool) {
    const auto schema = tool.find("schema");
    if (schema == tool.end()) {
      if (!any_arguments_) {
        FORGE_ASSIGN_OR_RETURN(const Grammar any, CompileJsonSchema(kAnyArguments));
        any_arguments_ = grammar_.Import(any);
      }
      return *any_arguments_;
    }
    const Result<Grammar> compiled = CompileJsonSchema(schema->get_ref<const std::string&>());
    if (!compiled.ok())
      return compiled.status().WithContext("tool '" + name + "'").WithDetail("field", "chat.tools");
    const GrammarRuleId rule = grammar_.Import(*compiled);
    if (grammar_.n_rules() > kMaxGrammarRules || grammar_.n_nodes() > kMaxGrammarNodes)
      return InvalidArgument("the schemas of strict tools are too complex together, from '" + name +
                             "' on; leave strict off where it matters least")
          .WithReason("GRAMMAR_TOO_COMPLEX")
          .WithDetail("field", "chat.tools");
    return rule;
  }

  const CallShape& shape_;
  Grammar& grammar_;
  JsonText text_;
  std::optional<GrammarRuleId> any_arguments_;
};

}  // namespace

bool CanHoldCalls(ToolFormat format) { return ShapeOf(format).has_value(); }

OutputConstraint MakeCallConstraint(ToolFormat format, std::string_view end,
                                    std::span<const ChatTool> tools) {
  Json named = Json::array();
  for (const ChatTool& tool : tools) {
    Json entry = {{"name", tool.name}};
    if (tool.is_strict)
      entry["schema"] =
          tool.parameters_json.empty() ? std::string(kNoArguments) : tool.parameters_json;
    named.push_back(std::move(entry));
  }
  const Json text = {{"format", static_cast<int>(format)}, {"end", end}, {"tools", named}};
  return {OutputConstraint::Kind::kToolCalls, text.dump()};
}

// The text is MakeCallConstraint's own.
Result<Grammar> CompileToolCalls(std::string_view text) {
  const Json json = Json::parse(text);
  const std::optional<CallShape> shape =
      ShapeOf(static_cast<ToolFormat>(json["format"].get<int>()));
  Grammar grammar;
  JsonText between(grammar);
  FORGE_ASSIGN_OR_RETURN(const GrammarNodeId calls,
                         CallCompiler(*shape, grammar).Calls(json["tools"]));
  const GrammarRuleId root = grammar.AddRule("calls");
  std::vector<GrammarNodeId> parts;
  if (!shape->is_named_before) parts.push_back(between.Space());
  parts.push_back(calls);
  parts.push_back(between.Space());
  const auto& end = json["end"].get_ref<const std::string&>();
  if (!end.empty()) parts.push_back(grammar.Literal(end));
  grammar.SetBody(root, grammar.Sequence(parts));
  grammar.SetRoot(root);
  return grammar;
}

}  // namespace forge
