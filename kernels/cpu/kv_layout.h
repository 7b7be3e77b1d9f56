#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/ragged_batch.h"

namespace forge {

// The order of a cache block on the CPU: keys [n_kv_heads, head_dim, block_tokens], so that
// adjacent positions of one dimension are the lanes of a vector when scores are computed; values
// [n_kv_heads, block_tokens, value_dim], so that adjacent dimensions are. For kQ8_0 a head's codes
// are in that order, and after them its scales: keys [head_dim / 32, block_tokens], values
// [block_tokens, value_dim / 32].

// One position of one KV head in a block, for reading or writing.
struct CpuKvPlace {
  std::byte* elements;  // dimension d at + d * stride elements
  uint16_t* scales;     // binary16, of kQ8_0: of dimension d at + d / 32 * stride; else null
};

// The elements of a head with `dim` dimensions, and where its scales begin.
inline CpuKvPlace CpuKvHead(void* data, const KvLayerView& cache, int dim, int64_t block,
                            int64_t head) {
  const auto n_elements = static_cast<uint64_t>(dim) * static_cast<uint64_t>(cache.block_tokens);
  const auto index = static_cast<uint64_t>(block * cache.n_kv_heads + head);
  std::byte* elements = static_cast<std::byte*>(data) + index * KvBytes(cache.dtype, n_elements);
  if (cache.dtype != KvDType::kQ8_0) return {elements, nullptr};
  return {elements, reinterpret_cast<uint16_t*>(elements + n_elements)};
}

inline int64_t CpuKvElementBytes(KvDType dtype) {
  return dtype == KvDType::kQ8_0 ? 1 : static_cast<int64_t>(KvBytes(dtype, 1));
}

// The stride is block_tokens; `offset` is the position within the block.
inline CpuKvPlace CpuKeyPlace(const KvLayerView& cache, int64_t block, int64_t head,
                              int64_t offset) {
  const CpuKvPlace place = CpuKvHead(cache.keys, cache, cache.head_dim, block, head);
  return {place.elements + offset * CpuKvElementBytes(cache.dtype),
          place.scales == nullptr ? nullptr : place.scales + offset};
}

// The place of a value that is in its key; the stride is block_tokens.
inline CpuKvPlace CpuValueInKeyPlace(const KvLayerView& cache, int64_t block, int64_t head,
                                     int64_t offset) {
  const CpuKvPlace key = CpuKeyPlace(cache, block, head, offset);
  const int64_t first = static_cast<int64_t>(cache.head_dim) - cache.value_dim;
  return {
      key.elements + first * cache.block_tokens * CpuKvElementBytes(cache.dtype),
      key.scales == nullptr ? nullptr : key.scales + first / kKvBlockElements * cache.block_tokens};
}

// The stride is 1. REQUIRES: values have a place of their own.
inline CpuKvPlace CpuValuePlace(const KvLayerView& cache, int64_t block, int64_t head,
                                int64_t offset) {
  const CpuKvPlace place = CpuKvHead(cache.values, cache, cache.value_dim, block, head);
  return {place.elements + offset * cache.value_dim * CpuKvElementBytes(cache.dtype),
          place.scales == nullptr ? nullptr
                                  : place.scales + offset * (cache.value_dim / kKvBlockElements)};
}

}  // namespace forge
