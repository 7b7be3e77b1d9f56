#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/json_numbers.h"
#include "engine/grammar/schema_document.h"

namespace forge {

// Schemas of a document that a value must satisfy all together: one schema, with what its $ref and
// allOf add, and the branches chosen of its anyOf and oneOf.
//
// Working with sets of places in the document, instead of merging their contents, keeps the number
// of different sets finite however schemas refer to each other.
struct SchemaSet {
  using NodeId = SchemaDocument::NodeId;

  bool is_false = false;        // one of them is the schema `false`
  std::vector<NodeId> parts;    // ascending, without duplicates; `true` is left out
  std::vector<NodeId> decided;  // anyOf and oneOf arrays of which a branch is among the parts

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the compiler's own code
  friend auto operator<=>(const SchemaSet&, const SchemaSet&) = default;
};

// What JSON types a value may have.
struct TypeSet {
  bool null = true, boolean = true, object = true, array = true, string = true;
  bool integer = true, fraction = true;  // numbers

  TypeSet Intersection(const TypeSet& other) const;
};

// Reads from sets what their schemas say together. Thread-compatible. Lifetime: the document must
// outlive it.
class SchemaReader {
 public:
  using NodeId = SchemaDocument::NodeId;

  explicit SchemaReader(const SchemaDocument& document) : document_(document) {}

  // The set of these schemas and all that they refer to. SCHEMA_UNSUPPORTED and SCHEMA_INVALID as
  // of CompileJsonSchema, the latter also for a schema that refers to itself without end.
  Result<SchemaSet> Gather(const std::vector<NodeId>& schemas) const;
  // `set`, and `branch` of `choice`, an anyOf or oneOf array.
  Result<SchemaSet> Choose(const SchemaSet& set, NodeId choice, NodeId branch) const;
  // The first anyOf or oneOf that is not decided.
  std::optional<NodeId> OpenChoice(const SchemaSet& set) const;
  bool IsDecided(const SchemaSet& set, NodeId choice) const;

  // The value of a keyword in each part that has it, with the part.
  struct Found {
    NodeId part;
    const Json* value;
  };
  std::vector<Found> All(const SchemaSet& set, const char* keyword) const;
  bool Has(const SchemaSet& set, const char* keyword) const { return !All(set, keyword).empty(); }

  TypeSet Types(const SchemaSet& set) const;
  NumberRange Numbers(const SchemaSet& set, bool only_integers) const;
  // Largest of the least and least of the largest, as of minLength and maxLength; `most` is
  // Grammar::kUnbounded without one.
  std::pair<uint32_t, uint32_t> Counts(const SchemaSet& set, const char* least,
                                       const char* most) const;
  // The properties that are named, in the order of the document, and whether they are required.
  std::vector<std::pair<std::string, bool>> Properties(const SchemaSet& set) const;
  Result<SchemaSet> PropertySchema(const SchemaSet& set, const std::string& name) const;
  Result<SchemaSet> OtherPropertiesSchema(const SchemaSet& set) const;
  // Items that have a schema of their own.
  size_t CountPrefixItems(const SchemaSet& set) const;
  // `index` past those: the schema of all others.
  Result<SchemaSet> ItemSchema(const SchemaSet& set, size_t index) const;

  const SchemaDocument& document() const { return document_; }

 private:
  Status Add(NodeId schema, SchemaSet& set, std::vector<NodeId>& path) const;

  const SchemaDocument& document_;
};

}  // namespace forge
