#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "engine/text/jinja/text.h"
#include "engine/text/token_table.h"
#include "engine/text/vocabulary.h"

namespace forge {

// Finds the control and user-defined tokens that are written out in a text, the leftmost first and
// the longest of those that start at one place.
//
// Thread-safe: immutable.
class SpecialMatcher {
 public:
  struct Match {
    size_t begin;  // text.size() if there is none
    size_t size;
    TokenId token;
  };
  // Longer ones are never found: they bound the time that a hostile vocabulary can cost.
  static constexpr size_t kMaxTokenBytes = 512;

  explicit SpecialMatcher(const Vocabulary& vocabulary);

  // The first match at or after `begin`; control tokens count only if `with_control`, and where
  // they have no byte in the ranges `literal`, which are sorted and do not overlap.
  Match Next(std::string_view text, size_t begin, bool with_control,
             std::span<const jinja::ByteRange> literal = {}) const;

 private:
  struct Ends {
    TokenId token = Vocabulary::kNone;
    bool is_control = false;
  };
  // Control tokens count only if they end at or before `control_end`.
  Match MatchAt(std::string_view text, size_t begin, size_t control_end) const;
  void Insert(std::string_view text, TokenId token, bool is_control);

  // Constant after construction. A trie: node 0 is the root.
  PairTable children_;      // (node, byte) -> node
  std::vector<Ends> ends_;  // of every node: the token that ends there
  std::array<bool, 256> starts_{};
};

}  // namespace forge
