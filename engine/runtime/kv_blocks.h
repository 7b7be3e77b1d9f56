#pragma once

#include <cstdint>
#include <vector>

#include "kernels/base/status.h"

namespace forge {

// The KV blocks of one sequence, in order of position: a row of RaggedBatch::block_tables.
using KvBlockTable = std::vector<int32_t>;

// Hands out the blocks of one model's KV cache, which never grows.
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

}  // namespace forge
