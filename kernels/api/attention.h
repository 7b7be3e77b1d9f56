#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/weight.h"
#include "kernels/base/status.h"

namespace forge {

// Grouped-query attention of a ragged batch over the paged cache. For token t at position p of its
// sequence, which is the last that it sees unless `last_seen` says otherwise, and query head h,
// with g = h / (n_heads / n_kv_heads):
//   s[j] = cap(scale * dot(q[t, h], key[j, g])) for 0 <= j <= p, and j > p - window if there is one
//   y[t, h] = sum_j softmax(s)[j] * value[j, g]
// where cap(x) = soft_cap * tanh(x / soft_cap) if there is a cap, and the softmax divides by
// sum_j exp(s[j]) + exp(sinks[h]) if there are sinks.
//
// The batch's own keys and values must be in the cache already (RopeAppend). With a window, nothing
// at or before the first token's p - window is read, so block tables need not have it any more.
struct AttentionArgs {
  RaggedBatch batch;
  KvLayerView cache;
  const float* q = nullptr;  // [n_tokens, n_heads, head_dim]
  float* y = nullptr;        // [n_tokens, n_heads, value_dim]
  int n_heads = 0;           // a multiple of cache.n_kv_heads
  float scale = 0.0f;
  float soft_cap = 0.0f;  // 0: none
  int window = 0;         // positions that a token sees, its own included; 0: all, as it
                          // must be where values are in keys
  // [n_tokens], or null: p of each token, for models whose tokens see those after them. From its
  // own position to that of the step's last token of its sequence, not falling within one.
  const int32_t* last_seen = nullptr;  // needs window 0
  const float* sinks = nullptr;  // [n_heads], or null: the logit of each head's attention sink,
                                 // which has no value (gpt-oss; Xiao et al., arXiv:2309.17453)
  Workspace workspace;           // Device::AttentionWorkspaceBytes(...)
};
Status Validate(const AttentionArgs& args);

}  // namespace forge
