#pragma once

#include <cstdint>

#include "kernels/api/attention.h"
#include "kernels/api/stream.h"

namespace forge {

// Scratch that any batch of up to max_tokens tokens can run in. More of it would not be used.
uint64_t CpuAttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim);

// Besides Validate: kInvalidArgument for a batch whose arrays are inconsistent (CheckBatch) and for
// a workspace below CpuAttentionWorkspaceBytes.
//
// The cache is read in partitions of 256 positions of a sequence. Each gives a softmax of its own
// for some query rows of one KV head, on any thread; a row's partitions are then merged in order of
// position. So one long sequence keeps all threads busy, and a token's result is the same, bit for
// bit, whatever shares the batch and however many threads there are.
Status CpuAttention(const AttentionArgs& args, Stream& stream);

}  // namespace forge
