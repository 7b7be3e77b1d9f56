#include "engine/grammar/mask_builder.h"

#include <utility>

#include "engine/grammar/grammar_limits.h"

namespace forge {

// Sets of more frames are walked as a whole: their frames would repeat each other's walks.
constexpr size_t kMostSeparateFrames = 4;

MaskBuilder::MaskBuilder(const TokenTrie& trie, StackSets& sets, size_t n_vocab)
    : trie_(trie), sets_(sets), n_vocab_(n_vocab), path_(trie.depth() + 1) {}

const TokenMask& MaskBuilder::MaskOf(StackSets::SetId set) {
  if (const auto known = masks_.find(set); known != masks_.end()) return known->second;
  if (kept_bytes_ > kMaxMaskBytes) Clear();
  n_visits_ = 0;
  TokenMask mask(n_vocab_);
  if (sets_.frames(set).size() > kMostSeparateFrames) {
    Walk(set, 0, trie_.n_nodes(), 0, mask, nullptr);
  } else {
    // A copy: the walks add sets.
    const std::vector<StackSets::Frame> frames(sets_.frames(set).begin(), sets_.frames(set).end());
    for (const StackSets::Frame& frame : frames) {
      const FrameMask& own = MaskOfState(frame.state);
      mask.AllowAllOf(own.tokens);
      const StackSets::SetId after = sets_.Resume(frame.below);
      if (!sets_.CanContinue(after)) continue;
      for (size_t i = 0; i < own.ends.size() && sets_.status().ok(); ++i) {
        const uint32_t node = own.ends[i];
        Walk(after, node + 1, trie_.nodes()[node].end, trie_.nodes()[node].depth, mask, nullptr);
      }
    }
  }
  if (!sets_.status().ok()) return last_ = TokenMask(n_vocab_);
  kept_bytes_ += mask.bytes();
  return masks_[set] = std::move(mask);
}

const MaskBuilder::FrameMask& MaskBuilder::MaskOfState(Automaton::StateId state) {
  const auto [entry, is_new] = frame_masks_.try_emplace(state);
  FrameMask& own = entry->second;
  if (!is_new) return own;
  own.tokens = TokenMask(n_vocab_);
  Walk(sets_.Only(state), 0, trie_.n_nodes(), 0, own.tokens, &own.ends);
  kept_bytes_ += own.tokens.bytes() + own.ends.size() * sizeof(uint32_t);
  return own;
}

void MaskBuilder::Walk(StackSets::SetId set, uint32_t begin, uint32_t end, size_t depth,
                       TokenMask& mask, std::vector<uint32_t>* ends) {
  path_[depth] = set;
  const std::vector<TokenTrie::Node>& nodes = trie_.nodes();
  for (uint32_t i = begin; i < end; ++n_visits_) {
    const TokenTrie::Node& node = nodes[i];
    const StackSets::SetId next = sets_.Next(path_[node.depth - 1u], node.byte);
    if (next == StackSets::kNothing) {
      i = node.end;
      continue;
    }
    path_[node.depth] = next;
    for (uint32_t token = node.first_token; token < nodes[i + 1].first_token; ++token)
      mask.Allow(trie_.token(token));
    ++i;
    if (ends != nullptr && i < node.end && sets_.IsComplete(next)) ends->push_back(i - 1);
  }
  if (n_visits_ > kMaxTrieVisits) sets_.Fail("there are too many ways to go on with a token");
}

void MaskBuilder::ForgetSets() {
  for (const auto& [set, mask] : masks_) kept_bytes_ -= mask.bytes();
  masks_.clear();
}

void MaskBuilder::Clear() {
  masks_.clear();
  frame_masks_.clear();
  kept_bytes_ = 0;
}

}  // namespace forge
