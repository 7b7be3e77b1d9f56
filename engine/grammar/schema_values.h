#pragma once

#include "engine/grammar/schema_sets.h"

namespace forge {

// Answers what values sets of schemas allow, without writing a grammar. Thread-compatible, but for
// the work it counts: one object serves one compilation.
class SchemaValues {
 public:
  explicit SchemaValues(const SchemaReader& reader) : reader_(reader) {}

  // Whether `value`, one of an enum or const, satisfies every schema of the set. Unsupported (see
  // SchemaDocument) where a pattern or format would have to be tested; GRAMMAR_TOO_COMPLEX past a
  // limit.
  Result<bool> Accepts(const SchemaSet& set, const Json& value);
  // The values of the set's enums and consts that it accepts; nullopt if it has none of both.
  Result<std::optional<std::vector<const Json*>>> Constants(const SchemaSet& set);
  // True only if no value satisfies the set. May be false although none does.
  Result<bool> IsProvablyEmpty(const SchemaSet& set);

 private:
  Result<bool> AcceptsType(const SchemaSet& set, const Json& value);
  Result<bool> AcceptsObject(const SchemaSet& set, const Json& value);
  Result<bool> AcceptsArray(const SchemaSet& set, const Json& value);
  Result<bool> AcceptsChoices(const SchemaSet& set, const Json& value);
  Result<bool> AcceptsBranches(const Json& branches, bool exactly_one, const Json& value);
  Result<bool> IsEmpty(const SchemaSet& set, int depth);
  Result<bool> IsObjectEmpty(const SchemaSet& set, int depth);
  Result<bool> IsArrayEmpty(const SchemaSet& set, int depth);
  Status CountWork(const SchemaSet& set);

  const SchemaReader& reader_;
  const Json* listed_ = nullptr;  // the enum whose values Constants tests
  uint32_t depth_ = 0;
  uint64_t work_ = 0;
};

}  // namespace forge
