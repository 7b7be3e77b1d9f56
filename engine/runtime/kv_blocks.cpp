#include "engine/runtime/kv_blocks.h"

#include <algorithm>
#include <utility>

namespace forge {

KvBlocks::KvBlocks(const std::vector<KvGroup>& groups, uint32_t block_tokens,
                   uint32_t n_state_slots, uint32_t max_sequences)
    : groups_(groups),
      block_tokens_(block_tokens),
      max_sequences_(max_sequences),
      prefixes_(groups.size() + (n_state_slots > 0 ? 1 : 0)) {
  for (const KvGroup& group : groups) pools_.emplace_back(group.n_blocks);
  if (n_state_slots > 0) pools_.emplace_back(n_state_slots);
}

uint32_t KvBlocks::BlocksOf(uint32_t n_positions) const {
  return (n_positions + block_tokens_ - 1) / block_tokens_;
}

int32_t& KvBlocks::Entry(KvSequence& sequence, size_t group, uint32_t block) const {
  return sequence.tables[group][block % groups_[group].blocks_per_sequence];
}

int32_t KvBlocks::Entry(const KvSequence& sequence, size_t group, uint32_t block) const {
  return sequence.tables[group][block % groups_[group].blocks_per_sequence];
}

uint32_t KvBlocks::FirstSeen(size_t group, uint32_t position) const {
  const uint32_t window = groups_[group].window;
  return window == 0 ? 0 : (position - std::min(position, window - 1)) / block_tokens_;
}

bool KvBlocks::HoldsWindowAt(const KvSequence& sequence, uint32_t position) const {
  for (size_t group = 0; group < groups_.size(); ++group)
    if (FirstSeen(group, position) < sequence.first[group]) return false;
  return true;
}

double KvBlocks::usage() const {
  double greatest = 0.0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    const uint32_t n_blocks = groups_[group].n_blocks;
    const uint32_t n_held = n_blocks - pools_[group].n_free();
    if (n_blocks > 0) greatest = std::max(greatest, static_cast<double>(n_held) / n_blocks);
  }
  return greatest;
}

// ---- Room

bool KvBlocks::CanExtend(const KvSequence& sequence, uint32_t n_positions) const {
  if (has_states() && !OwnsState(sequence) && pools_[states()].n_free() == 0) return false;
  const uint32_t n_blocks = std::max(BlocksOf(n_positions), sequence.n_blocks);
  for (size_t group = 0; group < groups_.size(); ++group) {
    const uint32_t first = sequence.empty() ? 0 : sequence.first[group];
    const uint32_t n_held = sequence.n_blocks - first;
    const uint32_t n_ring = groups_[group].blocks_per_sequence;
    const uint32_t n_lost = n_blocks - first - std::min(n_blocks - first, n_ring);
    uint32_t n_free = pools_[group].n_free();
    for (uint32_t block = first; block < first + std::min(n_lost, n_held); ++block)
      if (pools_[group].n_uses(Entry(sequence, group, block)) == 1) ++n_free;
    // Blocks that come and go within the step take no more than the ring.
    if (n_free < std::min(n_blocks - sequence.n_blocks, n_ring)) return false;
  }
  return true;
}

void KvBlocks::MakeTables(KvSequence& sequence, uint32_t n_blocks) const {
  sequence.first.resize(groups_.size(), 0);
  sequence.tables.resize(groups_.size());
  for (size_t group = 0; group < groups_.size(); ++group)
    sequence.tables[group].reserve(std::min(n_blocks, groups_[group].blocks_per_sequence));
}

void KvBlocks::Extend(KvSequence& sequence, uint32_t n_positions) {
  MakeTables(sequence, BlocksOf(n_positions));
  for (; sequence.n_blocks < BlocksOf(n_positions); ++sequence.n_blocks) {
    const uint32_t block = sequence.n_blocks;
    for (size_t group = 0; group < groups_.size(); ++group) {
      const uint32_t n_ring = groups_[group].blocks_per_sequence;
      uint32_t& first = sequence.first[group];
      if (block - first == n_ring) pools_[group].Drop(Entry(sequence, group, first++));
      sequence.tables[group].resize(std::min(block + 1, n_ring));
      Entry(sequence, group, block) = Take(group);
    }
  }
}

int32_t KvBlocks::Take(size_t group) {
  const KvBlockPool::Taken taken = pools_[group].Take();
  if (taken.forgotten == 0) return taken.block;
  prefixes_.SetBlock(taken.forgotten, group, PrefixIndex::kNoBlock);
  prefixes_.ForgetIfEmpty(taken.forgotten);
  return taken.block;
}

void KvBlocks::ForgetName(size_t group, int32_t block) {
  const PrefixId name = pools_[group].name(block);
  if (name == 0) return;
  pools_[group].SetName(block, 0);
  prefixes_.SetBlock(name, group, PrefixIndex::kNoBlock);
  prefixes_.ForgetIfEmpty(name);
}

void KvBlocks::Shorten(KvSequence& sequence, uint32_t n_blocks) {
  for (size_t group = 0; group < sequence.tables.size(); ++group) {
    uint32_t& first = sequence.first[group];
    // The last ones first: a prefix is of no use without its start, which so stays longer.
    for (uint32_t end = sequence.n_blocks; end > std::max(n_blocks, first); --end)
      pools_[group].Drop(Entry(sequence, group, end - 1));
    first = std::min(first, n_blocks);
    sequence.tables[group].resize(std::min(n_blocks, groups_[group].blocks_per_sequence));
  }
  sequence.n_blocks = std::min(sequence.n_blocks, n_blocks);
}

void KvBlocks::Release(KvSequence& sequence) {
  Shorten(sequence, 0);
  DropStates(sequence);
  sequence = {};
}

uint32_t KvBlocks::Truncate(KvSequence& sequence, uint32_t n_positions) {
  const uint32_t last = n_positions / block_tokens_;  // that the next token is written to
  uint32_t n_kept = n_positions;
  if (n_kept % block_tokens_ != 0)
    for (size_t group = 0; group < groups_.size(); ++group)
      if (last >= sequence.first[group] && pools_[group].n_uses(Entry(sequence, group, last)) > 1)
        n_kept = last * block_tokens_;
  if (n_kept == 0 || has_states() || !HoldsWindowAt(sequence, n_kept)) {
    Release(sequence);
    return 0;
  }
  Shorten(sequence, BlocksOf(n_kept));
  sequence.n_searched_tokens = 0;
  sequence.prefixes.resize(std::min<size_t>(sequence.prefixes.size(), n_kept / block_tokens_));
  if (n_kept % block_tokens_ != 0)
    for (size_t group = 0; group < groups_.size(); ++group)
      ForgetName(group, Entry(sequence, group, last));
  return n_kept;
}

// ---- Slots of state

bool KvBlocks::OwnsState(const KvSequence& sequence) const {
  return sequence.state >= 0 && pools_[states()].name(sequence.state) == 0;
}

uint32_t KvBlocks::MissingSlots(const KvSequence& sequence) const {
  if (!has_states()) return 0;
  // The one that is kept, what the step itself takes, and the others that take part in it.
  const uint32_t n_needed = 1 + (OwnsState(sequence) ? 0 : 1) + max_sequences_;
  return n_needed - std::min(n_needed, pools_[states()].n_free());
}

StateSlots KvBlocks::BeginStep(KvSequence& sequence, uint32_t n_computed, uint32_t n_kept,
                               bool is_answer) {
  StateSlots slots;
  if (!has_states()) return slots;
  const bool keeps = n_kept > n_computed && MissingSlots(sequence) == 0;
  slots.from = sequence.state;
  sequence.next_state = OwnsState(sequence) ? sequence.state : Take(states());
  slots.to = sequence.next_state;
  if (!keeps) return slots;
  if (is_answer) ForgetAnswerState(sequence);
  sequence.kept_state = Take(states());
  sequence.n_kept_blocks = n_kept / block_tokens_;
  if (is_answer) sequence.answer_state = sequence.kept_state;
  slots.kept_after = n_kept - n_computed;
  slots.kept_to = sequence.kept_state;
  return slots;
}

void KvBlocks::EndStep(KvSequence& sequence) {
  if (sequence.next_state < 0) return;
  const int32_t state = std::exchange(sequence.next_state, -1);
  if (sequence.state == state) sequence.state = -1;
  DropStates(sequence);
  sequence.state = state;
}

void KvBlocks::DropStates(KvSequence& sequence) {
  if (!has_states()) return;
  if (sequence.next_state == sequence.state) sequence.next_state = -1;
  for (int32_t* slot : {&sequence.state, &sequence.next_state, &sequence.kept_state})
    if (*slot >= 0) pools_[states()].Drop(std::exchange(*slot, -1));
}

void KvBlocks::PublishState(KvSequence& sequence, PrefixId prefix) {
  const int32_t slot = std::exchange(sequence.kept_state, -1);
  if (prefixes_.block(prefix, states()) == PrefixIndex::kNoBlock) {
    prefixes_.SetBlock(prefix, states(), slot);
    pools_[states()].SetName(slot, prefix);
    if (slot == sequence.answer_state) sequence.answer_prefix = prefix;
    ++n_published_;
  }
  pools_[states()].Drop(slot);
}

// A later one of the same answer is of more use, and others' are not forgotten for it.
void KvBlocks::ForgetAnswerState(KvSequence& sequence) {
  const int32_t slot = std::exchange(sequence.answer_state, -1);
  const PrefixId prefix = std::exchange(sequence.answer_prefix, 0);
  KvBlockPool& pool = pools_[states()];
  if (slot < 0 || prefix == 0 || pool.name(slot) != prefix || pool.n_uses(slot) > 0) return;
  pool.Use(slot);
  ForgetName(states(), slot);
  pool.Drop(slot);
}

// ---- Prefixes

void KvBlocks::Publish(KvSequence& sequence, std::span<const TokenId> tokens) {
  const bool was_searched = sequence.n_searched_blocks == n_published_;
  sequence.prefixes.reserve(tokens.size() / block_tokens_);
  for (auto block = static_cast<uint32_t>(sequence.prefixes.size());
       (block + 1) * block_tokens_ <= tokens.size(); ++block) {
    const PrefixId parent = block == 0 ? 0 : sequence.prefixes.back();
    const PrefixId prefix =
        prefixes_.FindOrAdd(parent, tokens.subspan(size_t{block} * block_tokens_, block_tokens_));
    sequence.prefixes.push_back(prefix);
    for (size_t group = 0; group < groups_.size(); ++group) {
      if (block < sequence.first[group]) continue;
      int32_t& own = Entry(sequence, group, block);
      const int32_t known = prefixes_.block(prefix, group);
      if (known == PrefixIndex::kNoBlock) {
        prefixes_.SetBlock(prefix, group, own);
        pools_[group].SetName(own, prefix);
        ++n_published_;
      } else if (known != own) {
        pools_[group].Use(known);
        pools_[group].Drop(own);
        own = known;
      }
    }
    if (sequence.kept_state >= 0 && block + 1 == sequence.n_kept_blocks)
      PublishState(sequence, prefix);
    prefixes_.ForgetIfEmpty(prefix);
  }
  if (was_searched) sequence.n_searched_blocks = n_published_;
}

std::vector<PrefixId> KvBlocks::FindPrefixes(const KvSequence& sequence,
                                             std::span<const TokenId> tokens,
                                             uint32_t n_have) const {
  std::vector<PrefixId> found;
  size_t n_usable = 0;
  // Of each group: how many blocks before this one are there without a gap.
  std::vector<uint32_t> run(groups_.size(), n_have);
  for (size_t group = 0; group < sequence.first.size(); ++group)
    run[group] -= sequence.first[group];
  PrefixId parent = n_have == 0 ? 0 : sequence.prefixes[n_have - 1];
  for (uint32_t block = n_have; (block + 1) * block_tokens_ <= tokens.size(); ++block) {
    parent = prefixes_.Find(parent, tokens.subspan(size_t{block} * block_tokens_, block_tokens_));
    if (parent == 0) break;
    found.push_back(parent);
    bool is_usable = true;
    for (size_t group = 0; group < groups_.size(); ++group) {
      const bool is_there = prefixes_.block(parent, group) != PrefixIndex::kNoBlock;
      run[group] = is_there ? run[group] + 1 : 0;
      const uint32_t n_seen = block + 1 - FirstSeen(group, (block + 1) * block_tokens_);
      is_usable = is_usable && run[group] >= n_seen;
    }
    if (has_states() && prefixes_.block(parent, states()) == PrefixIndex::kNoBlock)
      is_usable = false;
    if (is_usable) n_usable = found.size();
  }
  found.resize(n_usable);
  return found;
}

uint32_t KvBlocks::Adopt(KvSequence& sequence, std::span<const TokenId> tokens,
                         uint32_t n_computed) {
  const uint32_t n_have = n_computed / block_tokens_;
  if (sequence.prefixes.size() != n_have) return n_computed;  // it was not published
  // A long text is not searched for again with every step.
  if (sequence.n_searched_tokens == tokens.size() && sequence.n_searched_blocks == n_published_)
    return n_computed;
  const std::vector<PrefixId> found = FindPrefixes(sequence, tokens, n_have);
  if (found.empty()) {
    sequence.n_searched_tokens = tokens.size();
    sequence.n_searched_blocks = n_published_;
    return n_computed;
  }
  const uint32_t n_blocks = n_have + static_cast<uint32_t>(found.size());
  MakeTables(sequence, n_blocks);
  sequence.prefixes.reserve(n_blocks);
  Shorten(sequence, n_have);
  for (size_t group = 0; group < groups_.size(); ++group) {
    uint32_t& first = sequence.first[group];
    const uint32_t first_seen = FirstSeen(group, n_blocks * block_tokens_);
    for (; first < std::min(n_have, first_seen); ++first)
      pools_[group].Drop(Entry(sequence, group, first));
    first = std::max(first, first_seen);
    sequence.tables[group].resize(std::min(n_blocks, groups_[group].blocks_per_sequence), 0);
    for (uint32_t block = std::max(n_have, first); block < n_blocks; ++block) {
      const int32_t known = prefixes_.block(found[block - n_have], group);
      pools_[group].Use(known);
      Entry(sequence, group, block) = known;
    }
  }
  if (has_states()) {
    DropStates(sequence);
    sequence.state = prefixes_.block(found.back(), states());
    pools_[states()].Use(sequence.state);
  }
  sequence.n_blocks = n_blocks;
  sequence.prefixes.insert(sequence.prefixes.end(), found.begin(), found.end());
  return n_blocks * block_tokens_;
}

}  // namespace forge
