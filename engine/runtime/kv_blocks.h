#pragma once

#include <cstdint>
#include <vector>

#include "engine/model/kv_plan.h"
#include "kernels/base/status.h"

namespace forge {

// The KV blocks of one sequence, in order of position: a row of RaggedBatch::block_tables.
using KvBlockTable = std::vector<int32_t>;

// Hands out the blocks of one group of layers, which are never more.
//
// Invariant: a block is free or in exactly one table. Thread-compatible.
class KvBlockPool {
 public:
  explicit KvBlockPool(uint32_t n_blocks);

  // Appends free blocks until `table` has `n_blocks` of them. kResourceExhausted if too few are
  // free; then nothing changes. A table that is long enough stays as it is.
  Status Extend(KvBlockTable& table, uint32_t n_blocks);
  // Takes all blocks of `table` back and empties it.
  void Release(KvBlockTable& table);

  uint32_t n_free() const { return static_cast<uint32_t>(free_.size()); }
  uint32_t n_blocks() const { return static_cast<uint32_t>(in_use_.size()); }

 private:
  std::vector<int32_t> free_;  // a stack: the block used last is the one still in a cache
  std::vector<bool> in_use_;   // [n_blocks]
};

// The tables of one sequence, one for each KvGroup; empty where it holds no blocks.
using KvBlockTables = std::vector<KvBlockTable>;

// Hands out the blocks of one model's KV cache, in all groups of layers alike.
//
// Thread-compatible.
class KvBlocks {
 public:
  KvBlocks(const std::vector<KvGroup>& groups, uint32_t block_tokens);

  // Whether there are enough free blocks to Extend so.
  bool CanExtend(const KvBlockTables& tables, uint32_t n_positions) const;
  // Makes `tables` long enough for positions [0, n_positions); a ring never grows beyond its
  // group's blocks_per_sequence. REQUIRES: CanExtend.
  void Extend(KvBlockTables& tables, uint32_t n_positions);
  // Takes all blocks back and empties `tables`.
  void Release(KvBlockTables& tables);

  // Whether a sequence of `n_computed` positions still has what the token at `position`, an earlier
  // one, sees: a ring has overwritten what went out of its window.
  bool HoldsWindowAt(uint32_t position, uint32_t n_computed) const;

 private:
  uint32_t BlocksFor(size_t group, uint32_t n_positions) const;

  const std::vector<KvGroup> groups_;
  const uint32_t block_tokens_;
  std::vector<KvBlockPool> pools_;  // of each group
};

}  // namespace forge
