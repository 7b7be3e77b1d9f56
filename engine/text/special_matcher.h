#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/text/jinja/text.h"
#include "engine/text/vocabulary.h"

namespace forge {

// Finds the control and user-defined tokens that are written out in a text, the leftmost first and
// the longest of those that start at one place.
//
// Thread-safe: immutable. Lifetime: the vocabulary must outlive it.
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
  static constexpr uint32_t kNoPrefix = UINT32_MAX;
  struct Sought {
    TokenId token;
    uint32_t prefix;  // the longest other one that this one starts with, or kNoPrefix
  };
  // Control tokens count only if they end at or before `control_end`.
  Match MatchAt(std::string_view text, size_t begin, size_t control_end) const;

  // Constant after construction.
  const Vocabulary& vocabulary_;
  std::vector<Sought> sought_;         // by text, each text once
  std::array<uint32_t, 257> first_{};  // of each byte: where the texts that start with it begin
};

}  // namespace forge
