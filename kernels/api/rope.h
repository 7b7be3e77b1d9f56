#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// Rotates pairs of elements of each head by angle position * frequency[i], in place:
//   a' = scale * (a cos - b sin), b' = scale * (a sin + b cos)
// for the pairs i < rotary_dim / 2; elements from rotary_dim on stay as they are.
// Su et al., RoFormer, arXiv:2104.09864.
struct RopeArgs {
  float* x = nullptr;                  // [n_tokens, n_heads, head_dim]
  const int32_t* positions = nullptr;  // [n_tokens]
  const float* frequencies = nullptr;  // [rotary_dim / 2], radians per position
  int n_tokens = 0;
  int n_heads = 0;
  int head_dim = 0;
  int rotary_dim = 0;   // even, <= head_dim
  bool halves = false;  // pairs (i, i + rotary_dim / 2) instead of (2i, 2i + 1)
  float scale = 1.0f;   // YaRN's attention factor
};
Status Validate(const RopeArgs& args);

}  // namespace forge
