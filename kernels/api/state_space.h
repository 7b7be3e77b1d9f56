#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/base/status.h"

namespace forge {

// Most rows and columns of a head's state of StateSpaceArgs.
inline constexpr int kMaxStateDim = 256;
inline constexpr int kMaxStateHeadDim = 128;

// The state-space layer of Mamba 2 (Dao and Gu, arXiv:2405.21060) with the gate that follows it.
// For head h, its group g = h / (n_heads / n_groups), and the tokens of a sequence in turn, from
// S = 0:
//   d = softplus(step[h] + step_bias[h])
//   S = exp(decay[h] d) S + B[g] (d x[h])^T     [state_dim, head_dim]
//   y[h] = (S^T C[g] + skip[h] x[h]) * silu(gate[h])
// The state is S of all heads.
//
// Of the batch, n_tokens, n_sequences and first_token are read. Bits of a token do not depend on
// how its sequence was cut into steps, nor on what else is in the step.
struct StateSpaceArgs {
  RaggedBatch batch;
  RecurrentState state;  // n_heads * state_dim * head_dim elements of each sequence
  // [n_tokens, n_heads * head_dim + 2 * n_groups * state_dim]: x, B, C.
  const float* xbc = nullptr;
  const float* gate = nullptr;       // [n_tokens, n_heads, head_dim]
  const float* step = nullptr;       // [n_tokens, n_heads]
  const float* step_bias = nullptr;  // [n_heads]
  const float* decay = nullptr;      // [n_heads], below 0
  const float* skip = nullptr;       // [n_heads]
  float* y = nullptr;                // [n_tokens, n_heads, head_dim], may be `gate`
  int n_heads = 0;                   // a multiple of n_groups
  int n_groups = 0;
  int head_dim = 0;   // at most kMaxStateHeadDim
  int state_dim = 0;  // at most kMaxStateDim
};
Status Validate(const StateSpaceArgs& args);

}  // namespace forge
