#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/base/status.h"

namespace forge {

// Most taps of CausalConvArgs.
inline constexpr int kMaxConvTaps = 8;

// Each channel convolved with a short kernel of its own along the tokens of its sequence: for the
// token at position p of its sequence
//   y[p, c] = silu(sum_k weight[c, k] * x[p - (n_taps - 1) + k, c]) for 0 <= k < n_taps
// where x is 0 before the first position. The state is what of x the next token needs, n_taps - 1
// tokens of all channels.
//
// Of the batch, n_tokens, n_sequences and first_token are read. Bits of a token do not depend on
// how its sequence was cut into steps, nor on what else is in the step.
struct CausalConvArgs {
  RaggedBatch batch;
  RecurrentState state;           // (n_taps - 1) * n_channels elements of each sequence
  const float* x = nullptr;       // [n_tokens, n_channels]
  const float* weight = nullptr;  // [n_channels, n_taps]
  float* y = nullptr;             // [n_tokens, n_channels], not x
  int n_channels = 0;
  int n_taps = 0;  // in [2, kMaxConvTaps]
};
Status Validate(const CausalConvArgs& args);

}  // namespace forge
