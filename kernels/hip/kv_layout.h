#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// The order of a cache block on a HIP device: keys [n_kv_heads, block_tokens, head_dim] and values
// [n_kv_heads, block_tokens, value_dim], so that adjacent lanes load adjacent dimensions. For
// kQ8_0 a head's codes are in that order, and after them its scales: [block_tokens, dim / 32].

// The keys or the values of one head in one block.
struct KvHeadPlace {
  std::byte* elements;
  F16* scales;  // of kQ8_0, else null
};

template <KvDType kDType>
FORGE_DEVICE KvHeadPlace FindKvHead(void* data, const KvLayerView& cache, int dim, int64_t block,
                                    int64_t head) {
  const int64_t n_elements = static_cast<int64_t>(dim) * cache.block_tokens;
  constexpr int kElementBytes = kDType == KvDType::kQ8_0 ? 1 : kDType == KvDType::kF32 ? 4 : 2;
  const int64_t scale_bytes =
      kDType == KvDType::kQ8_0 ? n_elements / kKvBlockElements * int64_t{sizeof(F16)} : 0;
  std::byte* elements =
      static_cast<std::byte*>(data) +
      (block * cache.n_kv_heads + head) * (n_elements * kElementBytes + scale_bytes);
  return {elements,
          kDType == KvDType::kQ8_0 ? reinterpret_cast<F16*>(elements + n_elements) : nullptr};
}

// Dimension d of the position at `offset` in its block.
template <KvDType kDType>
FORGE_DEVICE float LoadKvElement(const KvHeadPlace& place, int dim, int offset, int d) {
  const int64_t index = static_cast<int64_t>(offset) * dim + d;
  if constexpr (kDType == KvDType::kF32) {
    return reinterpret_cast<const float*>(place.elements)[index];
  } else if constexpr (kDType == KvDType::kF16) {
    return HalfToFloat(reinterpret_cast<const F16*>(place.elements)[index]);
  } else if constexpr (kDType == KvDType::kBf16) {
    return ToFloat(reinterpret_cast<const Bf16*>(place.elements)[index]);
  } else {
    return HalfToFloat(place.scales[index / kKvBlockElements]) *
           static_cast<float>(reinterpret_cast<const int8_t*>(place.elements)[index]);
  }
}

// The block that holds `position` of a sequence, or -1 if there is none.
FORGE_DEVICE int FindKvBlock(const RaggedBatch& batch, const KvLayerView& cache, int sequence,
                             int position) {
  const int entry = position / cache.block_tokens % batch.max_blocks;
  const int block = batch.block_tables[static_cast<int64_t>(sequence) * batch.max_blocks + entry];
  return block >= 0 && block < cache.n_blocks ? block : -1;
}

}  // namespace forge
