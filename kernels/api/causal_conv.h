#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/base/status.h"

namespace forge {

// Most taps of CausalConvArgs.
inline constexpr int kMaxConvTaps = 8;

// Each channel convolved with a short kernel of its own along the tokens of its sequence: for the
// token at position p of its sequence
//   s[p, c] = bias[c] + sum_k weight[c, k] * z[p - (n_taps - 1) + k, c]     for 0 <= k < n_taps
//   y[p, c] = silu(s[p, c]), or with gates s[p, c] * y_gate[p, c]
// where z is x, or with gates x * x_gate, and 0 before the first position. The state is what of z
// the next token needs, n_taps - 1 tokens of all channels.
//
// Of the batch, n_tokens, n_sequences and first_token are read. Bits of a token do not depend on
// how its sequence was cut into steps, nor on what else is in the step.
struct CausalConvArgs {
  RaggedBatch batch;
  RecurrentState state;           // (n_taps - 1) * n_channels elements of each sequence
  const float* x = nullptr;       // [n_tokens, n_channels]
  const float* weight = nullptr;  // [n_channels, n_taps]
  const float* bias = nullptr;    // [n_channels], or null: 0
  // [n_tokens, n_channels], both or none.
  const float* x_gate = nullptr;
  const float* y_gate = nullptr;
  float* y = nullptr;  // [n_tokens, n_channels], neither x nor x_gate; may be y_gate
  int n_channels = 0;
  int n_taps = 0;  // in [2, kMaxConvTaps]
};
Status Validate(const CausalConvArgs& args);

}  // namespace forge
