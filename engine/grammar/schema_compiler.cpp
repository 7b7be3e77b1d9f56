#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/grammar_limits.h"
#include "engine/grammar/json_formats.h"
#include "engine/grammar/json_numbers.h"
#include "engine/grammar/json_schema.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/regex_texts.h"
#include "engine/grammar/schema_sets.h"
#include "engine/grammar/schema_values.h"

namespace forge {
namespace {

using NodeId = SchemaDocument::NodeId;

constexpr uint64_t kMaxWork = 200'000;  // parts of sets compiled
constexpr size_t kMaxBranchesOfOneOf = 64;
constexpr size_t kMaxMembers = 2000;  // properties of an object, prefixItems of an array

Status TooComplex(const std::string& problem) {
  return InvalidArgument("schema is too complex: " + problem).WithReason("GRAMMAR_TOO_COMPLEX");
}

// Writes one rule for each set of schemas that the document asks for.
class SchemaCompiler {
 public:
  explicit SchemaCompiler(const SchemaDocument& document)
      : document_(document), reader_(document), values_(reader_), text_(grammar_) {}

  Result<Grammar> Compile() {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet root, reader_.Gather({document_.root()}));
    grammar_.SetRoot(RuleFor(root));
    while (!open_.empty()) {
      const auto [set, rule] = open_.back();
      open_.pop_back();
      work_ += 1 + set.parts.size();
      if (grammar_.n_rules() > kMaxGrammarRules || grammar_.n_nodes() > kMaxGrammarNodes ||
          work_ > kMaxWork)
        return TooComplex("its grammar needs more than " + std::to_string(kMaxGrammarRules) +
                          " rules or " + std::to_string(kMaxGrammarNodes) + " parts");
      FORGE_ASSIGN_OR_RETURN(const GrammarNodeId body, Body(set));
      grammar_.SetBody(rule, body);
    }
    return std::move(grammar_);
  }

 private:
  // The rule of a set; its body follows when its turn comes.
  GrammarRuleId RuleFor(const SchemaSet& set) {
    const auto [entry, is_new] = rules_.try_emplace(set, 0);
    if (is_new) {
      entry->second =
          grammar_.AddRule(set.parts.empty() ? "value" : document_.PointerOf(set.parts.back()));
      open_.emplace_back(set, entry->second);
    }
    return entry->second;
  }
  GrammarNodeId ValueOf(const SchemaSet& set) {
    return set.is_false ? grammar_.Nothing() : grammar_.Reference(RuleFor(set));
  }

  Result<GrammarNodeId> Body(const SchemaSet& set);
  Result<GrammarNodeId> Choice(const SchemaSet& set, NodeId choice);
  Status CheckOneOf(const SchemaSet& set, NodeId choice);
  Result<GrammarNodeId> Number(const SchemaSet& set, bool only_integers);
  Result<GrammarNodeId> String(const SchemaSet& set);
  Result<GrammarNodeId> Format(const SchemaSet& set, const SchemaReader::Found& format);
  Result<GrammarNodeId> Object(const SchemaSet& set);
  Result<GrammarNodeId> OtherMembers(const SchemaSet& set, bool is_first);
  Result<GrammarNodeId> Array(const SchemaSet& set);
  Result<GrammarNodeId> ArrayRest(const SchemaSet& set, uint32_t least, uint32_t most,
                                  bool may_have_more);

  const SchemaDocument& document_;
  Grammar grammar_;
  SchemaReader reader_;
  SchemaValues values_;
  JsonText text_;
  std::map<SchemaSet, GrammarRuleId> rules_;
  std::vector<std::pair<SchemaSet, GrammarRuleId>> open_;
  std::optional<GrammarRuleId> free_integer_, free_number_;
  uint64_t work_ = 0;
};

Result<GrammarNodeId> SchemaCompiler::Body(const SchemaSet& set) {
  if (set.is_false) return grammar_.Nothing();
  if (const auto choice = reader_.OpenChoice(set)) return Choice(set, *choice);
  std::vector<GrammarNodeId> alternatives;
  FORGE_ASSIGN_OR_RETURN(const auto constants, values_.Constants(set));
  if (constants) {
    std::vector<std::string> texts;
    for (const Json* value : *constants) texts.push_back(value->dump());
    return text_.AnyOf(std::move(texts));
  }
  const TypeSet types = reader_.Types(set);
  if (types.null) alternatives.push_back(grammar_.Literal("null"));
  if (types.boolean) {
    alternatives.push_back(grammar_.Literal("true"));
    alternatives.push_back(grammar_.Literal("false"));
  }
  if (types.integer) {
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId number, Number(set, !types.fraction));
    alternatives.push_back(number);
  }
  if (types.string) {
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId string, String(set));
    alternatives.push_back(string);
  }
  if (types.object) {
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId object, Object(set));
    alternatives.push_back(object);
  }
  if (types.array) {
    FORGE_ASSIGN_OR_RETURN(const GrammarNodeId array, Array(set));
    alternatives.push_back(array);
  }
  return grammar_.Choice(alternatives);
}

// ---- anyOf and oneOf

Result<GrammarNodeId> SchemaCompiler::Choice(const SchemaSet& set, NodeId choice) {
  FORGE_TRY(CheckOneOf(set, choice));
  std::vector<GrammarNodeId> alternatives;
  for (const Json& branch : document_.at(choice)) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet chosen,
                           reader_.Choose(set, choice, document_.IdOf(branch)));
    alternatives.push_back(ValueOf(chosen));
  }
  return grammar_.Choice(alternatives);
}

// A value written for one branch of a oneOf must not satisfy another one.
Status SchemaCompiler::CheckOneOf(const SchemaSet& set, NodeId choice) {
  for (const auto& found : reader_.All(set, "oneOf")) {
    const Json& branches = *found.value;
    if (document_.IdOf(branches) != choice) continue;
    if (branches.size() > kMaxBranchesOfOneOf)
      return document_.Unsupported(found.part, "oneOf", "has more than 64 branches; use anyOf");
    for (size_t i = 0; i < branches.size(); ++i) {
      FORGE_ASSIGN_OR_RETURN(const SchemaSet one,
                             reader_.Choose(set, choice, document_.IdOf(branches[i])));
      for (size_t k = i + 1; k < branches.size(); ++k) {
        FORGE_ASSIGN_OR_RETURN(const SchemaSet both,
                               reader_.Choose(one, choice, document_.IdOf(branches[k])));
        FORGE_ASSIGN_OR_RETURN(const bool is_empty, values_.IsProvablyEmpty(both));
        if (!is_empty)
          return document_.Unsupported(found.part, "oneOf",
                                       "branches " + std::to_string(i) + " and " +
                                           std::to_string(k) +
                                           " may both be satisfied; give them different types or a "
                                           "required property with different const, or use anyOf");
      }
    }
  }
  return Status();
}

// ---- Scalars

Result<GrammarNodeId> SchemaCompiler::Number(const SchemaSet& set, bool only_integers) {
  const NumberRange range = reader_.Numbers(set, only_integers);
  const bool is_free = !range.least && !range.most;
  std::optional<GrammarRuleId>& shared = only_integers ? free_integer_ : free_number_;
  if (is_free && shared) return grammar_.Reference(*shared);
  const auto texts = NumberTexts(range, grammar_, text_);
  if (texts && is_free) {
    shared = grammar_.AddRule(only_integers ? "integer" : "number");
    grammar_.SetBody(*shared, *texts);
    return grammar_.Reference(*shared);
  }
  if (texts) return *texts;
  for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"})
    for (const auto& found : reader_.All(set, keyword))
      return document_.Unsupported(found.part, keyword,
                                   "numbers of more than " + std::to_string(kMostDigits) +
                                       " digits before the point are not written");
  return grammar_.Nothing();
}

Result<GrammarNodeId> SchemaCompiler::String(const SchemaSet& set) {
  const auto [least, most] = reader_.Counts(set, "minLength", "maxLength");
  if (least > most) return grammar_.Nothing();
  const std::vector<SchemaReader::Found> patterns = reader_.All(set, "pattern");
  std::vector<SchemaReader::Found> formats = reader_.All(set, "format");
  std::erase_if(formats, [](const SchemaReader::Found& found) {
    const auto name = found.value->get<std::string>();  // of numbers, in OpenAPI
    return name == "int32" || name == "int64" || name == "float" || name == "double";
  });
  if (patterns.size() + formats.size() > 1) {
    const bool is_pattern = !patterns.empty();
    return document_.Unsupported(is_pattern ? patterns.back().part : formats.back().part,
                                 is_pattern ? "pattern" : "format",
                                 "cannot be combined with another pattern or format");
  }
  if (!formats.empty()) return Format(set, formats.front());
  if (!patterns.empty()) {
    const RegexTexts texts =
        CompileRegex(patterns.front().value->get<std::string>(), least, most, grammar_, text_);
    if (!texts.problem.empty())
      return document_.Unsupported(patterns.front().part, "pattern", texts.problem);
    return text_.Quoted(texts.content);
  }
  if (least > kMaxRepetitions)
    return document_.Unsupported(
        set.parts.back(), "minLength",
        "strings longer than " + std::to_string(kMaxRepetitions) + " characters are not written");
  return text_.String(least, most > kMaxRepetitions ? Grammar::kUnbounded : most);
}

Result<GrammarNodeId> SchemaCompiler::Format(const SchemaSet& set,
                                             const SchemaReader::Found& format) {
  const auto name = format.value->get<std::string>();
  const auto texts = CompileFormat(name, grammar_, text_);
  if (!texts)
    return document_.Unsupported(format.part, "format",
                                 "'" + name +
                                     "' is not among date, time, date-time, uuid, email, "
                                     "hostname, ipv4, ipv6, uri, int32, int64, float and double");
  const auto [least, most] = reader_.Counts(set, "minLength", "maxLength");
  if (texts->min_length < least || texts->max_length > most)
    return document_.Unsupported(format.part, "format",
                                 "'" + name +
                                     "' cannot be combined with this minLength or "
                                     "maxLength; its strings have " +
                                     std::to_string(texts->min_length) + " to " +
                                     std::to_string(texts->max_length) + " characters");
  return text_.Quoted(texts->content);
}

// ---- Objects

// Two rules for each property: nothing was written before it, or something was.
Result<GrammarNodeId> SchemaCompiler::Object(const SchemaSet& set) {
  const std::vector<std::pair<std::string, bool>> properties = reader_.Properties(set);
  size_t n_bytes = 0;
  for (const auto& [name, is_required] : properties) n_bytes += name.size();
  if (properties.size() > kMaxMembers || n_bytes > kMaxGrammarNodes)
    return TooComplex("more than " + std::to_string(kMaxMembers) +
                      " properties, or very long names");
  work_ += properties.size() * (1 + set.parts.size());
  if (work_ > kMaxWork) return TooComplex("too many schemas that all apply");
  FORGE_ASSIGN_OR_RETURN(GrammarNodeId first, OtherMembers(set, /*is_first=*/true));
  FORGE_ASSIGN_OR_RETURN(GrammarNodeId later, OtherMembers(set, /*is_first=*/false));

  for (auto property = properties.rbegin(); property != properties.rend(); ++property) {
    const auto& [name, is_required] = *property;
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.PropertySchema(set, name));
    const GrammarRuleId member = grammar_.AddRule(name);
    grammar_.SetBody(member, grammar_.Sequence({grammar_.Literal(Json(name).dump() + ":"),
                                                text_.OptionalBlank(), ValueOf(schema)}));
    const GrammarRuleId rest = grammar_.AddRule(name + " and on");
    grammar_.SetBody(rest, later);
    std::vector<GrammarNodeId> firsts = {
        grammar_.Sequence({grammar_.Reference(member), grammar_.Reference(rest)})};
    std::vector<GrammarNodeId> laters = {
        grammar_.Sequence({text_.Comma(), grammar_.Reference(member), grammar_.Reference(rest)})};
    if (!is_required) {
      const GrammarRuleId skipped = grammar_.AddRule("without " + name);
      grammar_.SetBody(skipped, first);
      firsts.push_back(grammar_.Reference(skipped));
      laters.push_back(grammar_.Reference(rest));
    }
    first = grammar_.Choice(firsts);
    later = grammar_.Choice(laters);
  }
  return grammar_.Sequence(
      {grammar_.Literal("{"), text_.Space(), first, text_.Space(), grammar_.Literal("}")});
}

// Members beyond the named ones: where a schema says what they are, or nothing about members at
// all.
Result<GrammarNodeId> SchemaCompiler::OtherMembers(const SchemaSet& set, bool is_first) {
  if (reader_.Has(set, "properties") && !reader_.Has(set, "additionalProperties"))
    return grammar_.Empty();
  FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.OtherPropertiesSchema(set));
  if (schema.is_false) return grammar_.Empty();
  std::vector<std::string> names;
  size_t n_bytes = 0;
  for (const auto& [name, is_required] : reader_.Properties(set)) {
    names.push_back(name);
    n_bytes += name.size();
  }
  // A rule for each character of a name.
  if (n_bytes > kMaxGrammarRules) return TooComplex("too many properties beside additional ones");
  const GrammarRuleId member = grammar_.AddRule("other member");
  grammar_.SetBody(member, grammar_.Sequence({text_.KeyOtherThan(names), grammar_.Literal(":"),
                                              text_.OptionalBlank(), ValueOf(schema)}));
  const GrammarNodeId more = grammar_.Repeat(
      grammar_.Sequence({text_.Comma(), grammar_.Reference(member)}), 0, Grammar::kUnbounded);
  if (!is_first) return more;
  return grammar_.Optional(grammar_.Sequence({grammar_.Reference(member), more}));
}

// ---- Arrays

Result<GrammarNodeId> SchemaCompiler::Array(const SchemaSet& set) {
  auto [least, most] = reader_.Counts(set, "minItems", "maxItems");
  const auto n_prefix = static_cast<uint32_t>(reader_.CountPrefixItems(set));
  work_ += uint64_t{n_prefix} * (1 + set.parts.size());
  if (n_prefix > kMaxMembers || work_ > kMaxWork)
    return TooComplex("more than " + std::to_string(kMaxMembers) + " items of their own");
  const bool may_have_more = n_prefix == 0 || least > n_prefix || reader_.Has(set, "items");
  if (least > kMaxRepetitions)
    return document_.Unsupported(
        set.parts.back(), "minItems",
        "arrays of more than " + std::to_string(kMaxRepetitions) + " items are not written");
  if (most > kMaxRepetitions) most = Grammar::kUnbounded;
  FORGE_ASSIGN_OR_RETURN(GrammarNodeId rest, ArrayRest(set, least, most, may_have_more));
  // From the last item with a schema of its own to the first: what follows once i are written.
  for (uint32_t i = std::min(n_prefix, most); i > 0; --i) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.ItemSchema(set, i - 1));
    std::vector<GrammarNodeId> item;
    if (i > 1) item.push_back(text_.Comma());
    item.push_back(ValueOf(schema));
    item.push_back(rest);
    std::vector<GrammarNodeId> choices = {grammar_.Sequence(item)};
    if (i - 1 >= least) choices.push_back(grammar_.Empty());
    const GrammarRuleId rule = grammar_.AddRule("items from " + std::to_string(i - 1));
    grammar_.SetBody(rule, grammar_.Choice(choices));
    rest = grammar_.Reference(rule);
  }
  return grammar_.Sequence(
      {grammar_.Literal("["), text_.Space(), rest, text_.Space(), grammar_.Literal("]")});
}

// The items past those with schemas of their own.
Result<GrammarNodeId> SchemaCompiler::ArrayRest(const SchemaSet& set, uint32_t least, uint32_t most,
                                                bool may_have_more) {
  const auto n_prefix = static_cast<uint32_t>(reader_.CountPrefixItems(set));
  if (least > most) return grammar_.Nothing();
  if (!may_have_more || most <= n_prefix)
    return std::min(n_prefix, most) >= least ? grammar_.Empty() : grammar_.Nothing();
  FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.ItemSchema(set, n_prefix));
  const uint32_t min = least > n_prefix ? least - n_prefix : 0;
  const uint32_t max = most == Grammar::kUnbounded ? most : most - n_prefix;
  const GrammarNodeId next = grammar_.Sequence({text_.Comma(), ValueOf(schema)});
  if (n_prefix > 0) return grammar_.Repeat(next, min, max);
  // The first item has no comma before it.
  const uint32_t max_after = max == Grammar::kUnbounded ? max : max - 1;
  const GrammarNodeId some = grammar_.Sequence(
      {ValueOf(schema), grammar_.Repeat(next, min == 0 ? 0 : min - 1, max_after)});
  return min == 0 ? grammar_.Optional(some) : some;
}

}  // namespace

Result<Grammar> CompileJsonSchema(std::string_view text) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<SchemaDocument> document,
                         SchemaDocument::Parse(text));
  return SchemaCompiler(*document).Compile();
}

}  // namespace forge
