#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/base/status.h"

namespace forge {

// Stores the keys and values of a batch's tokens at their positions in the cache.
struct KvAppendArgs {
  RaggedBatch batch;
  KvLayerView cache;
  const float* keys = nullptr;    // [n_tokens, n_kv_heads, head_dim]
  const float* values = nullptr;  // [n_tokens, n_kv_heads, value_dim]
};
Status Validate(const KvAppendArgs& args);

}  // namespace forge
