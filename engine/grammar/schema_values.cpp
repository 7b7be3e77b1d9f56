#include "engine/grammar/schema_values.h"

#include <algorithm>
#include <cmath>

#include "engine/grammar/grammar_limits.h"
#include "engine/text/utf8.h"

namespace forge {
namespace {

constexpr uint64_t kMaxWork = 50'000;  // parts of sets and values of enums looked at
constexpr int kMostEmptyDepth = 4;     // levels that IsProvablyEmpty looks into

// JSON equality: the order of properties does not count, and 1 equals 1.0.
bool AreEqual(const Json& a, const Json& b) {
  if (a.is_object() && b.is_object())
    return a.size() == b.size() &&
           std::all_of(a.items().begin(), a.items().end(), [&b](auto& item) {
             const auto other = b.find(item.key());
             return other != b.end() && AreEqual(item.value(), *other);
           });
  if (a.is_array() && b.is_array())
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), AreEqual);
  return a == b;
}

uint32_t CountCharacters(const std::string& text) {
  uint32_t n = 0;
  for (size_t i = 0; i < text.size(); ++n) i += DecodeUtf8(text, i).size;
  return n;
}

bool IsWhole(const Json& number) {
  return !number.is_number_float() || number.get<double>() == std::floor(number.get<double>());
}

bool IsWithin(const NumberRange& range, const Decimal& value) {
  const auto passes = [&value](const NumberBound& bound, int wrong_side) {
    const int order = Compare(value, bound.value);
    return order != wrong_side && (order != 0 || !bound.is_exclusive);
  };
  return (!range.least || passes(*range.least, -1)) && (!range.most || passes(*range.most, 1));
}

}  // namespace

Status SchemaValues::CountWork(const SchemaSet& set) {
  work_ += 1 + set.parts.size();
  if (work_ <= kMaxWork) return Status();
  return InvalidArgument("schema is too complex: deciding its enum, const and oneOf takes too much")
      .WithReason("GRAMMAR_TOO_COMPLEX");
}

// ---- Values

Result<bool> SchemaValues::Accepts(const SchemaSet& set, const Json& value) {
  FORGE_TRY(CountWork(set));
  if (set.is_false) return false;
  if (depth_ > 4 * kMaxNesting)
    return InvalidArgument("schema is too complex: its references lead too deep")
        .WithReason("GRAMMAR_TOO_COMPLEX");
  ++depth_;
  Result<bool> accepts = AcceptsType(set, value);
  if (accepts.ok() && *accepts) accepts = AcceptsChoices(set, value);
  --depth_;
  return accepts;
}

Result<bool> SchemaValues::AcceptsType(const SchemaSet& set, const Json& value) {
  for (const auto& found : reader_.All(set, "const"))
    if (!AreEqual(*found.value, value)) return false;
  for (const auto& found : reader_.All(set, "enum")) {
    if (found.value == listed_) continue;  // it is from there
    work_ += found.value->size();
    if (std::none_of(found.value->begin(), found.value->end(),
                     [&value](const Json& allowed) { return AreEqual(allowed, value); }))
      return false;
  }
  const TypeSet types = reader_.Types(set);
  if (value.is_null()) return types.null;
  if (value.is_boolean()) return types.boolean;
  if (value.is_object()) return types.object ? AcceptsObject(set, value) : Result<bool>(false);
  if (value.is_array()) return types.array ? AcceptsArray(set, value) : Result<bool>(false);
  if (value.is_number()) {
    if (!(IsWhole(value) ? types.integer : types.fraction)) return false;
    return IsWithin(reader_.Numbers(set, false), Decimal::Parse(value.dump()));
  }
  if (!types.string) return false;
  for (const char* keyword : {"pattern", "format"})
    for (const auto& found : reader_.All(set, keyword))
      return reader_.document().Unsupported(found.part, keyword,
                                            "cannot be combined with enum or const");
  const auto [least, most] = reader_.Counts(set, "minLength", "maxLength");
  const uint32_t length = CountCharacters(value.get<std::string>());
  return least <= length && length <= most;
}

Result<bool> SchemaValues::AcceptsObject(const SchemaSet& set, const Json& value) {
  for (const auto& [name, is_required] : reader_.Properties(set))
    if (is_required && !value.contains(name)) return false;
  for (const auto& [name, member] : value.items()) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.PropertySchema(set, name));
    FORGE_ASSIGN_OR_RETURN(const bool accepts, Accepts(schema, member));
    if (!accepts) return false;
  }
  return true;
}

Result<bool> SchemaValues::AcceptsArray(const SchemaSet& set, const Json& value) {
  const auto [least, most] = reader_.Counts(set, "minItems", "maxItems");
  if (value.size() < least || value.size() > most) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.ItemSchema(set, i));
    FORGE_ASSIGN_OR_RETURN(const bool accepts, Accepts(schema, value[i]));
    if (!accepts) return false;
  }
  return true;
}

Result<bool> SchemaValues::AcceptsChoices(const SchemaSet& set, const Json& value) {
  for (const char* keyword : {"anyOf", "oneOf"}) {
    for (const auto& found : reader_.All(set, keyword)) {
      // The branch of a decided one is part of the set, and excludes the others of a oneOf.
      if (reader_.IsDecided(set, reader_.document().IdOf(*found.value))) continue;
      const bool is_one = std::string_view(keyword) == "oneOf";
      FORGE_ASSIGN_OR_RETURN(const bool accepts, AcceptsBranches(*found.value, is_one, value));
      if (!accepts) return false;
    }
  }
  return true;
}

Result<bool> SchemaValues::AcceptsBranches(const Json& branches, bool exactly_one,
                                           const Json& value) {
  size_t n_accepting = 0;
  Status undecided;  // of a branch that cannot be tested; no matter if another one accepts
  for (const Json& branch : branches) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema,
                           reader_.Gather({reader_.document().IdOf(branch)}));
    const Result<bool> accepts = Accepts(schema, value);
    if (accepts.ok()) n_accepting += *accepts ? 1 : 0;
    if (!accepts.ok()) undecided = accepts.status();
  }
  if (!undecided.ok() && (exactly_one || n_accepting == 0)) return undecided;
  return exactly_one ? n_accepting == 1 : n_accepting > 0;
}

Result<std::optional<std::vector<const Json*>>> SchemaValues::Constants(const SchemaSet& set) {
  using Values = std::optional<std::vector<const Json*>>;
  std::vector<const Json*> listed;
  if (const auto consts = reader_.All(set, "const"); !consts.empty()) {
    listed.push_back(consts.front().value);
  } else if (const auto enums = reader_.All(set, "enum"); !enums.empty()) {
    for (const Json& value : *enums.front().value) listed.push_back(&value);
    listed_ = enums.front().value;
  } else {
    return Values();
  }
  std::vector<const Json*> accepted;
  for (const Json* value : listed) {
    FORGE_ASSIGN_OR_RETURN(const bool accepts, Accepts(set, *value));
    if (accepts) accepted.push_back(value);
  }
  return Values(std::move(accepted));
}

// ---- Emptiness

Result<bool> SchemaValues::IsProvablyEmpty(const SchemaSet& set) { return IsEmpty(set, 0); }

Result<bool> SchemaValues::IsEmpty(const SchemaSet& set, int depth) {
  FORGE_TRY(CountWork(set));
  if (set.is_false) return true;
  if (depth > kMostEmptyDepth) return false;
  if (const auto choice = reader_.OpenChoice(set)) {
    for (const Json& branch : reader_.document().at(*choice)) {
      FORGE_ASSIGN_OR_RETURN(const SchemaSet chosen,
                             reader_.Choose(set, *choice, reader_.document().IdOf(branch)));
      FORGE_ASSIGN_OR_RETURN(const bool is_empty, IsEmpty(chosen, depth + 1));
      if (!is_empty) return false;
    }
    return true;
  }
  const auto constants = Constants(set);
  // What cannot be decided (a pattern beside an enum) is not proven.
  if (!constants.ok())
    return constants.status().reason() == "SCHEMA_UNSUPPORTED" ? Result<bool>(false)
                                                               : Result<bool>(constants.status());
  if (*constants) return (*constants)->empty();
  const TypeSet types = reader_.Types(set);
  if (types.null || types.boolean) return false;
  const auto [least, most] = reader_.Counts(set, "minLength", "maxLength");
  if (types.string && least <= most) return false;
  if (types.fraction && !reader_.Numbers(set, false).IsEmpty()) return false;
  if (types.integer && !reader_.Numbers(set, true).IsEmpty()) return false;
  if (types.array) {
    FORGE_ASSIGN_OR_RETURN(const bool is_empty, IsArrayEmpty(set, depth));
    if (!is_empty) return false;
  }
  return types.object ? IsObjectEmpty(set, depth) : Result<bool>(true);
}

Result<bool> SchemaValues::IsObjectEmpty(const SchemaSet& set, int depth) {
  for (const auto& [name, is_required] : reader_.Properties(set)) {
    if (!is_required) continue;
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.PropertySchema(set, name));
    FORGE_ASSIGN_OR_RETURN(const bool is_empty, IsEmpty(schema, depth + 1));
    if (is_empty) return true;
  }
  return false;
}

Result<bool> SchemaValues::IsArrayEmpty(const SchemaSet& set, int depth) {
  const auto [least, most] = reader_.Counts(set, "minItems", "maxItems");
  if (least > most) return true;
  const size_t n_looked_at = std::min<size_t>(least, reader_.CountPrefixItems(set) + 1);
  for (size_t i = 0; i < n_looked_at; ++i) {
    FORGE_ASSIGN_OR_RETURN(const SchemaSet schema, reader_.ItemSchema(set, i));
    FORGE_ASSIGN_OR_RETURN(const bool is_empty, IsEmpty(schema, depth + 1));
    if (is_empty) return true;
  }
  return false;
}

}  // namespace forge
