#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/kv_plan.h"
#include "engine/runtime/kv_block_pool.h"
#include "engine/runtime/prefix_index.h"
#include "engine/runtime/state_slots.h"
#include "engine/text/tokenizer.h"

namespace forge {

// The KV blocks of one sequence in one group of layers: a row of RaggedBatch::block_tables.
using KvBlockTable = std::vector<int32_t>;

// The tables of one sequence, one for each KvGroup; empty where it holds no blocks.
using KvBlockTables = std::vector<KvBlockTable>;

// What one sequence holds of a model's KV cache. Block i is that of positions [i * block_tokens,
// (i + 1) * block_tokens). Plain data of KvBlocks.
struct KvSequence {
  // Block i is in tables[group][i % blocks_per_sequence]. Entries of blocks that a ring has lost
  // are those of later ones, or 0.
  KvBlockTables tables;
  // [n_groups] The first block that is held; a ring has lost those before it.
  std::vector<uint32_t> first;
  uint32_t n_blocks = 0;  // block n_blocks - 1 is the last one
  // Of a model with recurrent layers: the slot with the state after the tokens that are computed,
  // and those that the running step writes. -1: none.
  int32_t state = -1, next_state = -1, kept_state = -1;
  uint32_t n_kept_blocks = 0;  // that kept_state is the state after
  // The last one that was kept of an answer, and its name.
  int32_t answer_state = -1;
  PrefixId answer_prefix = 0;
  std::vector<PrefixId> prefixes;  // of the full blocks from the start on, as far as published
  // What was searched for in vain: so many tokens, when so many blocks had been published, its own
  // aside.
  size_t n_searched_tokens = 0;
  uint64_t n_searched_blocks = 0;

  bool empty() const { return n_blocks == 0; }
};

// Hands out the blocks of one model's KV cache, in all groups of layers alike, and finds those that
// hold what a new sequence starts with.
//
// Of a model with recurrent layers it hands out slots of state too (StatePlan). A sequence holds
// the slot that its next step goes on from; what a step kept besides is found with the block that
// it ends, and a prefix is of use to others up to such a block only.
//
// Full blocks that were published are never written to again: several sequences read them, and
// those of sequences that are gone stay until their room is needed. What throws std::bad_alloc has
// taken no block that it does not hold; Truncate and Release do not throw. Thread-compatible.
class KvBlocks {
 public:
  // n_state_slots: 0 without recurrent layers. `max_sequences`: that take part in a step.
  KvBlocks(const std::vector<KvGroup>& groups, uint32_t block_tokens, uint32_t n_state_slots = 0,
           uint32_t max_sequences = 0);

  // Whether there are enough free blocks to Extend so, and a slot for BeginStep.
  bool CanExtend(const KvSequence& sequence, uint32_t n_positions) const;
  // Makes room for positions [0, n_positions). A ring loses the blocks that it has no room for.
  // REQUIRES: CanExtend.
  void Extend(KvSequence& sequence, uint32_t n_positions);
  // Keeps positions [0, n_positions), of which the next token may be written and all before it be
  // read. Returns how many are kept: fewer where another sequence reads the block that the next
  // token would be written to, none where a ring has lost what it sees or layers are recurrent.
  // REQUIRES: `n_positions` were computed, and more.
  uint32_t Truncate(KvSequence& sequence, uint32_t n_positions);
  // Takes all blocks and slots back.
  void Release(KvSequence& sequence);

  // How many more slots must be free for BeginStep to keep a state of the sequence.
  uint32_t MissingSlots(const KvSequence& sequence) const;
  // What a step does with slots that computes the sequence's tokens from `n_computed` on. It keeps
  // the state after the first `n_kept` positions, a whole number of blocks, where these are more
  // and a slot can be spared; of an answer the last one that was kept is given up for it. REQUIRES:
  // Extend.
  StateSlots BeginStep(KvSequence& sequence, uint32_t n_computed, uint32_t n_kept, bool is_answer);
  // The step succeeded, and was published if it is to be. After one that failed the sequence must
  // be released.
  void EndStep(KvSequence& sequence);

  // Makes the full blocks of `tokens`, all of which were computed, findable for others. Where
  // others have the same, theirs are taken and the sequence's own are free.
  void Publish(KvSequence& sequence, std::span<const TokenId> tokens);
  // Takes what others published of `tokens`, of which the first `n_computed` are in the sequence's
  // blocks. Returns how many are there now.
  uint32_t Adopt(KvSequence& sequence, std::span<const TokenId> tokens, uint32_t n_computed);

  // Share of the blocks that sequences hold, in the group where it is greatest.
  double usage() const;

 private:
  uint32_t BlocksOf(uint32_t n_positions) const;
  // Allocates what `n_blocks` blocks need of a sequence's tables.
  void MakeTables(KvSequence& sequence, uint32_t n_blocks) const;
  int32_t& Entry(KvSequence& sequence, size_t group, uint32_t block) const;
  int32_t Entry(const KvSequence& sequence, size_t group, uint32_t block) const;
  // The first block that the token at `position` sees in a group.
  uint32_t FirstSeen(size_t group, uint32_t position) const;
  bool HoldsWindowAt(const KvSequence& sequence, uint32_t position) const;
  bool has_states() const { return pools_.size() > groups_.size(); }
  // Slots are blocks of a group of their own.
  size_t states() const { return groups_.size(); }
  // Whether the sequence's slot may be written to.
  bool OwnsState(const KvSequence& sequence) const;
  void DropStates(KvSequence& sequence);
  void PublishState(KvSequence& sequence, PrefixId prefix);
  void ForgetAnswerState(KvSequence& sequence);
  int32_t Take(size_t group);
  void ForgetName(size_t group, int32_t block);
  // Drops the blocks from `n_blocks` on.
  void Shorten(KvSequence& sequence, uint32_t n_blocks);
  // The prefixes behind those of the sequence, as long as groups without a window have their blocks
  // and, at the last one, the others what the next token sees.
  std::vector<PrefixId> FindPrefixes(const KvSequence& sequence, std::span<const TokenId> tokens,
                                     uint32_t n_have) const;

  const std::vector<KvGroup> groups_;
  const uint32_t block_tokens_;
  const uint32_t max_sequences_;
  std::vector<KvBlockPool> pools_;  // of each group, then of the slots
  PrefixIndex prefixes_;
  uint64_t n_published_ = 0;  // blocks, ever
};

}  // namespace forge
