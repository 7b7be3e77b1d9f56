#pragma once

#include <cstdint>
#include <vector>

#include "engine/grammar/grammar.h"
#include "kernels/base/result.h"

namespace forge {

// What the parts of a grammar can match.
struct GrammarFacts {
  static constexpr uint64_t kNever = UINT64_MAX;
  // Bytes of the shortest text of each node; 0: it may match nothing, kNever: it matches no finite
  // text. Saturates below kNever.
  std::vector<uint64_t> shortest_bytes;  // [n_nodes]

  bool IsNullable(GrammarNodeId node) const { return shortest_bytes[node] == 0; }
  bool IsProductive(GrammarNodeId node) const { return shortest_bytes[node] != kNever; }
};

// Derives the facts of a grammar, and refuses one that no answer can be written with.
// REQUIRES: every rule has a body.
//
// kInvalidArgument, reason GRAMMAR_INVALID: a rule that can begin with itself (left recursion,
// which would never end), a root that matches no finite text or nothing but the empty one. Reason
// GRAMMAR_TOO_COMPLEX: past a limit of grammar_limits.h.
Result<GrammarFacts> CheckGrammar(const Grammar& grammar);

}  // namespace forge
