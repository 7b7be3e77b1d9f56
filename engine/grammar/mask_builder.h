#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/grammar/stack_sets.h"
#include "engine/grammar/token_mask.h"
#include "engine/grammar/token_trie.h"

namespace forge {

// Computes which tokens may come next, and keeps the answers.
//
// What a frame allows before its rule ends does not depend on what is below it. That part, which
// for the inside of a string is nearly the whole vocabulary, is computed once per state of the
// automaton; for each set of stacks only the tokens that reach past the end of the rule are looked
// at anew.
//
// Not thread-safe. Lifetime: the trie and the sets must outlive it.
class MaskBuilder {
 public:
  // REQUIRES: every token of the trie is below n_vocab.
  MaskBuilder(const TokenTrie& trie, StackSets& sets, size_t n_vocab);

  // The tokens after which there is still a way to read. Valid until the next call. When it fails,
  // sets.status() says so and the mask means nothing.
  const TokenMask& MaskOf(StackSets::SetId set);
  // The sets have got new ids.
  void ForgetSets();
  void Clear();
  size_t bytes() const { return kept_bytes_; }

 private:
  // What a frame with this state allows by itself.
  struct FrameMask {
    TokenMask tokens;
    std::vector<uint32_t> ends;  // trie nodes with others below them, where its rule may end
  };

  const FrameMask& MaskOfState(Automaton::StateId state);
  // Allows the tokens in nodes [begin, end) that can be read from `set`, whose text so far ends
  // `depth` bytes below the root. `ends`, if not null, gets the nodes where the text may be
  // complete.
  void Walk(StackSets::SetId set, uint32_t begin, uint32_t end, size_t depth, TokenMask& mask,
            std::vector<uint32_t>* ends);

  const TokenTrie& trie_;
  StackSets& sets_;
  const size_t n_vocab_;
  std::vector<StackSets::SetId> path_;  // the set at each depth of a walk
  std::unordered_map<Automaton::StateId, FrameMask> frame_masks_;
  std::unordered_map<StackSets::SetId, TokenMask> masks_;
  TokenMask last_;
  size_t kept_bytes_ = 0;
  size_t n_visits_ = 0;
};

}  // namespace forge
