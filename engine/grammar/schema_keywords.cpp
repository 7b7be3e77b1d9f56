#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/grammar/grammar_limits.h"
#include "engine/grammar/schema_document.h"

namespace forge {
namespace {

enum class ValueKind {
  kAnything,
  kSchema,
  kSchemas,    // a non-empty array of them
  kSchemaMap,  // an object of them
  kString,
  kStrings,
  kCount,  // a whole number of 0 or more
  kNumber,
  kBoolean,
  kTypes,  // a type or an array of them
  kValues,
};

struct Keyword {
  std::string_view name;
  ValueKind kind;
};

constexpr Keyword kKeywords[] = {
    {"type", ValueKind::kTypes},
    {"enum", ValueKind::kValues},
    {"const", ValueKind::kAnything},
    {"properties", ValueKind::kSchemaMap},
    {"required", ValueKind::kStrings},
    {"additionalProperties", ValueKind::kSchema},
    {"items", ValueKind::kSchema},
    {"prefixItems", ValueKind::kSchemas},
    {"minItems", ValueKind::kCount},
    {"maxItems", ValueKind::kCount},
    {"minLength", ValueKind::kCount},
    {"maxLength", ValueKind::kCount},
    {"pattern", ValueKind::kString},
    {"format", ValueKind::kString},
    {"minimum", ValueKind::kNumber},
    {"maximum", ValueKind::kNumber},
    {"exclusiveMinimum", ValueKind::kNumber},
    {"exclusiveMaximum", ValueKind::kNumber},
    {"anyOf", ValueKind::kSchemas},
    {"oneOf", ValueKind::kSchemas},
    {"allOf", ValueKind::kSchemas},
    {"$ref", ValueKind::kString},
    {"$defs", ValueKind::kSchemaMap},
    {"definitions", ValueKind::kSchemaMap},
    {"nullable", ValueKind::kBoolean},
    {"$anchor", ValueKind::kString},
    // Annotations say nothing about what is valid.
    {"$schema", ValueKind::kString},
    {"$id", ValueKind::kString},
    {"$comment", ValueKind::kString},
    {"title", ValueKind::kString},
    {"description", ValueKind::kString},
    {"default", ValueKind::kAnything},
    {"examples", ValueKind::kAnything},
    {"example", ValueKind::kAnything},
    {"deprecated", ValueKind::kBoolean},
    {"readOnly", ValueKind::kBoolean},
    {"writeOnly", ValueKind::kBoolean},
    // Supported where they ask for nothing; see CheckRestrictions.
    {"uniqueItems", ValueKind::kBoolean},
    {"minProperties", ValueKind::kCount},
};

// The drafts in which the supported keywords mean the same.
constexpr std::string_view kDrafts[] = {
    "json-schema.org/draft/2020-12/schema", "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema", "json-schema.org/draft-06/schema"};

constexpr std::string_view kTypes[] = {"null",   "boolean", "object", "array",
                                       "string", "number",  "integer"};

bool IsType(const Json& value) {
  return value.is_string() && std::find(std::begin(kTypes), std::end(kTypes),
                                        value.get<std::string>()) != std::end(kTypes);
}

bool IsSchema(const Json& value) { return value.is_object() || value.is_boolean(); }

template <typename Predicate>
bool AllOf(const Json& value, const Predicate& predicate) {
  return std::all_of(value.begin(), value.end(), predicate);
}

// Empty if the value is of the kind, else what it must be.
std::string_view Mismatch(const Json& value, ValueKind kind) {
  switch (kind) {
    case ValueKind::kAnything:
      return {};
    case ValueKind::kSchema:
      return IsSchema(value) ? "" : "must be a schema, an object or a boolean";
    case ValueKind::kSchemas:
      return value.is_array() && !value.empty() && AllOf(value, IsSchema)
                 ? ""
                 : "must be an array of one schema or more";
    case ValueKind::kSchemaMap:
      return value.is_object() && AllOf(value, IsSchema) ? "" : "must be an object of schemas";
    case ValueKind::kString:
      return value.is_string() ? "" : "must be a string";
    case ValueKind::kStrings:
      return value.is_array() && AllOf(value, [](const Json& v) { return v.is_string(); })
                 ? ""
                 : "must be an array of strings";
    case ValueKind::kCount:
      return value.is_number() && value.get<double>() >= 0 &&
                     value.get<double>() == std::floor(value.get<double>())
                 ? ""
                 : "must be a whole number of 0 or more";
    case ValueKind::kNumber:
      return value.is_number() ? "" : "must be a number";
    case ValueKind::kBoolean:
      return value.is_boolean() ? "" : "must be true or false";
    case ValueKind::kTypes:
      return IsType(value) || (value.is_array() && !value.empty() && AllOf(value, IsType))
                 ? ""
                 : "must be one of null, boolean, object, array, string, number and integer, or an "
                   "array of them";
    case ValueKind::kValues:
      return value.is_array() ? "" : "must be an array";
  }
  return {};
}

}  // namespace

Status SchemaDocument::CheckKeywords(NodeId node) const {
  const Json& schema = at(node);
  if (schema.is_boolean()) return Status();
  if (!schema.is_object()) return Invalid(node, "a schema is an object or a boolean");
  for (const auto& [name, value] : schema.items()) {
    const auto known = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                    [&name = name](const Keyword& k) { return k.name == name; });
    if (known == std::end(kKeywords)) {
      if (name.starts_with("x-")) continue;  // what OpenAPI leaves to others
      if (name == "$dynamicRef" || name == "$recursiveRef")
        return Unsupported(node, name, "use $ref");
      return Unsupported(node, name, "this keyword is not supported");
    }
    if (name == "items" && value.is_array())
      return Unsupported(node, name, "an array of schemas is called prefixItems since 2020-12");
    if (const std::string_view problem = Mismatch(value, known->kind); !problem.empty())
      return Invalid(IdOf(value), name + " " + std::string(problem));
    FORGE_TRY(CheckValue(node, name, value));
  }
  return Status();
}

Status SchemaDocument::CheckValue(NodeId node, const std::string& keyword,
                                  const Json& value) const {
  if (keyword == "$schema") {
    const auto uri = value.get<std::string>();
    const bool is_known = std::any_of(std::begin(kDrafts), std::end(kDrafts), [&](auto draft) {
      return uri.find(draft) != std::string::npos;
    });
    if (!is_known)
      return Unsupported(node, keyword, "'" + uri + "' is not a draft between 06 and 2020-12");
  }
  if (keyword == "$id" && node != root())
    return Unsupported(node, keyword, "a schema within a schema cannot have an $id");
  if (keyword == "uniqueItems" && value.get<bool>()) {
    const auto most = at(node).find("maxItems");
    if (most == at(node).end() || !most->is_number() || most->get<double>() > 1)
      return Unsupported(node, keyword, "items that differ from each other cannot be assured");
  }
  if (keyword == "minProperties" && value.get<double>() > 0)
    return Unsupported(node, keyword, "name the properties in 'required' instead");
  return Status();
}

}  // namespace forge
