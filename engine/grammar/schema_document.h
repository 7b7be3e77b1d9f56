#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/base/result.h"

namespace forge {

using Json = nlohmann::ordered_json;

// Holds a schema's JSON, and knows where in it each value is and what a $ref means.
//
// Thread-compatible. Not copied, because it hands out pointers into itself.
class SchemaDocument {
 public:
  using NodeId = uint32_t;  // ascending in document order

  // kInvalidArgument (reason SCHEMA_INVALID) for malformed JSON, naming line and column, and for
  // JSON nested deeper than kMaxNesting.
  static Result<std::unique_ptr<SchemaDocument>> Parse(std::string_view text);

  SchemaDocument(const SchemaDocument&) = delete;
  SchemaDocument& operator=(const SchemaDocument&) = delete;

  NodeId root() const { return 0; }
  const Json& at(NodeId node) const { return *nodes_[node].json; }
  // REQUIRES: the value is in this document.
  NodeId IdOf(const Json& json) const { return ids_.at(&json); }
  // "#/properties/a"
  std::string PointerOf(NodeId node) const;

  // What "#", "#/json/pointer" or "#anchor" refers to. `from`: the schema that holds the $ref, for
  // the error: kInvalidArgument, reason SCHEMA_INVALID if there is nothing, SCHEMA_UNSUPPORTED for
  // a reference out of the document.
  Result<NodeId> Resolve(const std::string& reference, NodeId from) const;

  // Says that the schema at `node` is no schema, or that `keyword` in it is not supported.
  Status Invalid(NodeId node, const std::string& problem) const;
  Status Unsupported(NodeId node, const std::string& keyword, const std::string& problem) const;

  // Refuses keywords that are unknown, unsupported or have values of the wrong type.
  Status CheckKeywords(NodeId node) const;

 private:
  struct Node {
    const Json* json;
    NodeId parent;
    std::string key;  // or index, in the parent
  };

  SchemaDocument() = default;
  void Number(const Json& json, NodeId parent, const std::string& key);
  Status CheckValue(NodeId node, const std::string& keyword, const Json& value) const;

  Json json_;
  std::vector<Node> nodes_;
  std::unordered_map<const Json*, NodeId> ids_;
  std::map<std::string, NodeId> anchors_;
};

}  // namespace forge
