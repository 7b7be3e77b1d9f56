#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/weight.h"
#include "kernels/base/status.h"

namespace forge {

// Causal grouped-query attention of a ragged batch over the paged cache. For token t at position p
// of its sequence and query head h, with g = h / (n_heads / n_kv_heads):
//   s[j] = scale * dot(q[t, h], key[j, g]) for 0 <= j <= p
//   y[t, h] = sum_j softmax(s)[j] * value[j, g]
// The batch's own keys and values must be in the cache already (KvAppend).
struct AttentionArgs {
  RaggedBatch batch;
  KvLayerView cache;
  const float* q = nullptr;  // [n_tokens, n_heads, head_dim]
  float* y = nullptr;        // [n_tokens, n_heads, value_dim]
  int n_heads = 0;           // a multiple of cache.n_kv_heads
  float scale = 0.0f;
  Workspace workspace;  // Device::AttentionWorkspaceBytes(...)
};
Status Validate(const AttentionArgs& args);

}  // namespace forge
