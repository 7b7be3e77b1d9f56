#include "engine/grammar/schema_sets.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/grammar/grammar_limits.h"

namespace forge {
namespace {

using NodeId = SchemaDocument::NodeId;

void Insert(std::vector<NodeId>& ids, NodeId id) {
  const auto place = std::lower_bound(ids.begin(), ids.end(), id);
  if (place == ids.end() || *place != id) ids.insert(place, id);
}

bool Contains(const std::vector<NodeId>& ids, NodeId id) {
  return std::binary_search(ids.begin(), ids.end(), id);
}

TypeSet TypesOf(const Json& type, bool is_nullable) {
  TypeSet types{is_nullable, false, false, false, false, false, false};
  const auto add = [&types](const Json& name) {
    const auto text = name.get<std::string>();
    types.null |= text == "null";
    types.boolean |= text == "boolean";
    types.object |= text == "object";
    types.array |= text == "array";
    types.string |= text == "string";
    types.integer |= text == "integer" || text == "number";
    types.fraction |= text == "number";
  };
  if (type.is_string())
    add(type);
  else
    std::for_each(type.begin(), type.end(), add);
  return types;
}

// A keyword's value in [0, kUnbounded]; larger ones bound nothing that could be written.
uint32_t CountOf(const Json& value) {
  const double count = value.get<double>();
  return count >= Grammar::kUnbounded ? Grammar::kUnbounded : static_cast<uint32_t>(count);
}

}  // namespace

TypeSet TypeSet::Intersection(const TypeSet& other) const {
  return {null && other.null,        boolean && other.boolean, object && other.object,
          array && other.array,      string && other.string,   integer && other.integer,
          fraction && other.fraction};
}

Result<SchemaSet> SchemaReader::Gather(const std::vector<NodeId>& schemas) const {
  SchemaSet set;
  std::vector<NodeId> path;
  for (const NodeId schema : schemas) FORGE_TRY(Add(schema, set, path));
  return set;
}

Result<SchemaSet> SchemaReader::Choose(const SchemaSet& set, NodeId choice, NodeId branch) const {
  SchemaSet chosen = set;
  std::vector<NodeId> path;
  FORGE_TRY(Add(branch, chosen, path));
  Insert(chosen.decided, choice);
  return chosen;
}

Status SchemaReader::Add(NodeId schema, SchemaSet& set, std::vector<NodeId>& path) const {
  if (std::find(path.begin(), path.end(), schema) != path.end())
    return document_.Invalid(schema, "it refers to itself without end");
  if (path.size() > kMaxNesting)
    return document_
        .Invalid(schema, "references and allOf lead through more than " +
                             std::to_string(kMaxNesting) + " schemas")
        .WithReason("GRAMMAR_TOO_COMPLEX");
  if (Contains(set.parts, schema)) return Status();
  FORGE_TRY(document_.CheckKeywords(schema));
  const Json& json = document_.at(schema);
  if (json.is_boolean()) {
    set.is_false |= !json.get<bool>();
    return Status();
  }
  path.push_back(schema);
  if (const auto reference = json.find("$ref"); reference != json.end()) {
    FORGE_ASSIGN_OR_RETURN(const NodeId target,
                           document_.Resolve(reference->get<std::string>(), schema));
    FORGE_TRY(Add(target, set, path));
  }
  if (const auto all = json.find("allOf"); all != json.end())
    for (const Json& part : *all) FORGE_TRY(Add(document_.IdOf(part), set, path));
  path.pop_back();
  Insert(set.parts, schema);
  return Status();
}

std::optional<NodeId> SchemaReader::OpenChoice(const SchemaSet& set) const {
  for (const char* keyword : {"anyOf", "oneOf"})
    for (const Found& found : All(set, keyword))
      if (const NodeId choice = document_.IdOf(*found.value); !IsDecided(set, choice))
        return choice;
  return std::nullopt;
}

bool SchemaReader::IsDecided(const SchemaSet& set, NodeId choice) const {
  return Contains(set.decided, choice);
}

std::vector<SchemaReader::Found> SchemaReader::All(const SchemaSet& set,
                                                   const char* keyword) const {
  std::vector<Found> all;
  for (const NodeId part : set.parts) {
    const Json& json = document_.at(part);
    if (const auto found = json.find(keyword); found != json.end()) all.push_back({part, &*found});
  }
  return all;
}

TypeSet SchemaReader::Types(const SchemaSet& set) const {
  TypeSet types;
  for (const Found& found : All(set, "type")) {
    const Json& json = document_.at(found.part);
    const auto nullable = json.find("nullable");
    const bool is_nullable = nullable != json.end() && nullable->get<bool>();
    types = types.Intersection(TypesOf(*found.value, is_nullable));
  }
  return types;
}

NumberRange SchemaReader::Numbers(const SchemaSet& set, bool only_integers) const {
  NumberRange range;
  range.only_integers = only_integers;
  const auto bound = [](const Found& found, bool is_exclusive) {
    return NumberBound{Decimal::Parse(found.value->dump()), is_exclusive};
  };
  for (const Found& found : All(set, "minimum")) range.AtLeast(bound(found, false));
  for (const Found& found : All(set, "exclusiveMinimum")) range.AtLeast(bound(found, true));
  for (const Found& found : All(set, "maximum")) range.AtMost(bound(found, false));
  for (const Found& found : All(set, "exclusiveMaximum")) range.AtMost(bound(found, true));
  for (const Found& found : All(set, "format")) {
    if (*found.value != "int32") continue;
    range.AtLeast({Decimal::Parse("-2147483648"), false});
    range.AtMost({Decimal::Parse("2147483647"), false});
  }
  return range;
}

std::pair<uint32_t, uint32_t> SchemaReader::Counts(const SchemaSet& set, const char* least,
                                                   const char* most) const {
  std::pair<uint32_t, uint32_t> counts = {0, Grammar::kUnbounded};
  for (const Found& found : All(set, least))
    counts.first = std::max(counts.first, CountOf(*found.value));
  for (const Found& found : All(set, most))
    counts.second = std::min(counts.second, CountOf(*found.value));
  return counts;
}

std::vector<std::pair<std::string, bool>> SchemaReader::Properties(const SchemaSet& set) const {
  std::vector<std::pair<std::string, bool>> properties;
  std::map<std::string, size_t> places;
  const auto add = [&](const std::string& name, bool is_required) {
    const auto [place, is_new] = places.try_emplace(name, properties.size());
    if (is_new) properties.emplace_back(name, false);
    properties[place->second].second |= is_required;
  };
  for (const Found& found : All(set, "properties"))
    for (const auto& [name, schema] : found.value->items()) add(name, false);
  for (const Found& found : All(set, "required"))
    for (const Json& name : *found.value) add(name.get<std::string>(), true);
  return properties;
}

Result<SchemaSet> SchemaReader::PropertySchema(const SchemaSet& set,
                                               const std::string& name) const {
  std::vector<NodeId> schemas;
  for (const NodeId part : set.parts) {
    const Json& json = document_.at(part);
    const auto properties = json.find("properties");
    const auto others = json.find("additionalProperties");
    if (properties != json.end() && properties->contains(name))
      schemas.push_back(document_.IdOf((*properties)[name]));
    else if (others != json.end())
      schemas.push_back(document_.IdOf(*others));
  }
  return Gather(schemas);
}

Result<SchemaSet> SchemaReader::OtherPropertiesSchema(const SchemaSet& set) const {
  std::vector<NodeId> schemas;
  for (const Found& found : All(set, "additionalProperties"))
    schemas.push_back(document_.IdOf(*found.value));
  return Gather(schemas);
}

size_t SchemaReader::CountPrefixItems(const SchemaSet& set) const {
  size_t n = 0;
  for (const Found& found : All(set, "prefixItems")) n = std::max(n, found.value->size());
  return n;
}

Result<SchemaSet> SchemaReader::ItemSchema(const SchemaSet& set, size_t index) const {
  std::vector<NodeId> schemas;
  for (const NodeId part : set.parts) {
    const Json& json = document_.at(part);
    const auto prefix = json.find("prefixItems");
    const auto items = json.find("items");
    if (prefix != json.end() && index < prefix->size())
      schemas.push_back(document_.IdOf((*prefix)[index]));
    else if (items != json.end())
      schemas.push_back(document_.IdOf(*items));
  }
  return Gather(schemas);
}

}  // namespace forge
