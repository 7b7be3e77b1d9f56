#pragma once

#include <cstdint>

#include "kernels/api/op_table.h"

namespace forge {

// The ops of a HIP device. Streams are HipStreams; every pointer of the arguments is device memory.
//
// The host cannot look at device memory, so an index that is out of range (a token, a row, an
// expert, a block of the cache) is no error here: nothing outside of the arguments' arrays is read
// or written for it, and what it would have given is NaN.
const OpTable& HipOps();

// Scratch of the ops, as Device describes it; 0 where a size is not positive.
uint64_t HipMatmulWorkspaceBytes(int max_tokens, int64_t max_cols);
uint64_t HipAttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim);
uint64_t HipExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts);

}  // namespace forge
