#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/base/status.h"

namespace forge {

// Turns pairs of elements of a head by angle position * frequencies[i]:
//   a' = scale * (a cos - b sin), b' = scale * (a sin + b cos)
// for the pairs i < rotary_dim / 2; elements from rotary_dim on stay as they are.
// Su et al., RoFormer, arXiv:2104.09864.
struct Rotation {
  const float* frequencies = nullptr;  // [rotary_dim / 2], radians per position; device memory
  int rotary_dim = 0;                  // even, <= head_dim; 0: no rotation
  bool halves = false;                 // pairs (i, i + rotary_dim / 2) instead of (2i, 2i + 1)
  float scale = 1.0f;                  // YaRN's attention factor
};

// Makes what the projections gave ready for attention: normalises queries and keys head by head as
// RmsNormArgs does, where they have norms, turns both by their tokens' positions, and stores keys
// and values at these positions in the cache. Norms may also come after turning. Without keys it is
// about queries alone, of a layer that attends to the cache of another.
struct RopeAppendArgs {
  RaggedBatch batch;
  KvLayerView cache;
  float* queries = nullptr;  // [n_tokens, n_heads, head_dim], in place; null if n_heads is 0
  float* keys = nullptr;     // [n_tokens, n_kv_heads, head_dim], or null; then unspecified
  const float* values =
      nullptr;      // [n_tokens, n_kv_heads, value_dim]; as keys; not read if in these
  int n_heads = 0;  // of queries
  // Weights of the norms, or null: [head_dim], or where heads differ [n_heads, head_dim] and
  // [n_kv_heads, head_dim].
  const float* query_norm = nullptr;
  const float* key_norm = nullptr;
  float norm_epsilon = 0.0f;
  bool heads_differ = false;
  bool centres_heads = false;  // as RmsNormArgs::is_centred
  bool turns_first = false;    // and normalises then
  Rotation rotation = {};
};
Status Validate(const RopeAppendArgs& args);

}  // namespace forge
