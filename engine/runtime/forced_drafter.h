#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/grammar/forced_text.h"
#include "engine/runtime/drafter.h"
#include "engine/text/tokenizer.h"

namespace forge {

// Guesses the next tokens of an answer whose constraint leaves its text no choice ("jump forward"):
// those that the tokenizer makes of that text behind the answer. The model may cut it into others,
// above all where the text ends; how often it does is learned from the answer.
//
// Not thread-safe. Lifetime: tokenizer and automaton must outlive it.
class ForcedDrafter {
 public:
  // `automaton`: the constraint's. Tokens of `n_vocab` and above are none of the model's.
  ForcedDrafter(const Tokenizer& tokenizer, const Automaton& automaton, uint32_t n_vocab)
      : tokenizer_(tokenizer), n_vocab_(n_vocab), text_(automaton) {}

  // At most `most` tokens after `answer`, which is that of the call before and what came since.
  const Draft& Propose(std::span<const TokenId> answer, size_t most);
  // What came after the answer of the last Propose and the tokens learned since.
  void Learn(TokenId token);
  // How many of the first of `tokens` the constraint may let come after the answer of the last
  // Propose.
  size_t CountPossible(std::span<const TokenId> tokens);

 private:
  // The tokens of `text`, which comes after `answer`.
  std::vector<TokenId> TokensOf(std::string_view text, std::span<const TokenId> answer) const;

  // Constant after construction.
  const Tokenizer& tokenizer_;
  const uint32_t n_vocab_;

  ForcedText text_;
  size_t n_followed_ = 0;  // tokens of the answer that text_ knows
  Draft draft_;
  size_t n_forced_ = 0;   // tokens of the forced text, of which draft_ holds the first
  size_t n_learned_ = 0;  // of draft_
  // The share of tokens that were right, the last ones counting most: of those within the text, and
  // of its last one, which often goes on.
  double inner_rate_ = 0.9, last_rate_ = 0.6;
};

}  // namespace forge
