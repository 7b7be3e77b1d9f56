#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"

namespace forge {

// The order of a cache block on the CPU: keys [n_kv_heads, head_dim, block_tokens], so that
// adjacent positions of one dimension are the lanes of a vector when scores are computed; values
// [n_kv_heads, block_tokens, value_dim], so that adjacent dimensions are. Both count in elements
// from the start of the cache; `offset` is the position within the block.

// Dimension d is at + d * block_tokens.
inline int64_t CpuKeyIndex(const KvLayerView& cache, int64_t block, int64_t head, int64_t offset) {
  return (block * cache.n_kv_heads + head) * cache.head_dim * cache.block_tokens + offset;
}

// Dimension d is at + d.
inline int64_t CpuValueIndex(const KvLayerView& cache, int64_t block, int64_t head,
                             int64_t offset) {
  return ((block * cache.n_kv_heads + head) * cache.block_tokens + offset) * cache.value_dim;
}

}  // namespace forge
