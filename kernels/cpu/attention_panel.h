#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

// Attention of the tokens of prompts over whole partitions, on processors whose tiles multiply
// bfloat16. Queries, keys, weights and values are each the sum of two bfloat16 numbers, which hold
// 16 bits (of a bf16 cache, one number, which holds it): three products stand for one.

constexpr int kAttentionPanelRows = 128;  // the most rows of an item
constexpr int kMaxPanelHeadDim = 256;

// REQUIRES: at most kAttentionPanelRows rows, each of which sees all kAttentionPartition positions;
// segments of a multiple of 32 positions; a head_dim that is even and at most kMaxPanelHeadDim, a
// value_dim that is a multiple of 16, and values that have a place of their own. `sums` has room
// for a multiple of 16 rows; those behind the last are unspecified afterwards.
using AttendPanelKernel = void (*)(const AttentionPartition&);

#if defined(__x86_64__)
extern const AttendPanelKernel kAttendPanelAmx[kKvDTypes];  // null for kF32
#endif

// Null: the level has no kernel for such a cache. Tokens whose query heads of one KV head are more
// than kAttentionPanelRows cannot use it.
AttendPanelKernel FindAttendPanel(const KvLayerView& cache, CpuLevel level);

}  // namespace forge
