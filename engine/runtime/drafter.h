#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "engine/text/tokenizer.h"

namespace forge {

// Tokens that may come next, and for each how likely it is right if those before it are.
struct Draft {
  std::vector<TokenId> tokens;
  std::vector<double> probabilities;
};

// Guesses the next tokens of a sequence from the sequence itself ("prompt lookup", an n-gram draft
// model): what followed its last tokens where they stood before. Answers that quote, edit or
// summarise repeat long pieces.
//
// How likely a guess is right it learns from the answer, by the length of the match, and also from
// guesses that nobody computed. Not thread-safe.
class Drafter {
 public:
  // `most` tokens after `sequence`; none where its last tokens never stood before. Costs one pass
  // over the last kReach tokens.
  const Draft& Propose(std::span<const TokenId> sequence, size_t most);
  // What came after the sequence of the last Propose and the tokens learned since.
  void Learn(TokenId token);

  static constexpr size_t kReach = 32768;
  static constexpr size_t kLeastMatch = 2;

 private:
  // Matches are told apart up to this length.
  static constexpr size_t kLongestMatch = 16;
  // By length: kLeastMatch, up to 4, 8, and longer.
  static constexpr size_t kClasses = 4;

  static size_t ClassOf(size_t match_length);
  // Where the earlier stand of the last tokens ends, and how many of them it has.
  struct Match {
    size_t end = 0, length = 0;
  };
  static Match FindMatch(std::span<const TokenId> sequence);

  Draft draft_;
  size_t match_length_ = 0;  // of draft_
  size_t n_learned_ = 0;     // of draft_
  // Of each class: the share of tokens that were right, the last ones counting most. Begins at what
  // matches of that length commonly give, so that a new answer neither waits nor wastes much.
  std::array<double, kClasses> hit_rates_ = {0.3, 0.4, 0.6, 0.8};
};

}  // namespace forge
