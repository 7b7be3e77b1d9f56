#pragma once

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/base/status.h"

namespace forge {

// Most elements of a head of DeltaRuleArgs.
inline constexpr int kMaxDeltaHeadDim = 128;

// The gated delta rule (Yang, Kautz and Hatamizadeh, arXiv:2412.06464) with the norm and gate that
// follow it in Qwen 3 Next: a linear attention whose heads remember a matrix in place of all keys
// and values. For value head h, its key head g, and the tokens of a sequence in turn, from S = 0:
//   k = key[g] / sqrt(|key[g]|^2 + 1e-6), and q, of query[g], the same, over sqrt(head_dim)
//   a = exp(decay[h] * softplus(alpha[h] + alpha_bias[h]))
//   S = a S + k (sigmoid(beta[h]) (value[h] - (a S)^T k))^T     [head_dim of k, head_dim of v]
//   o = S^T q
//   y[h] = o / sqrt(mean(o^2) + epsilon) * norm_weight * silu(gate[h])
// where g is h mod n_key_heads, or h / (n_value_heads / n_key_heads) where key heads are spread.
// The state is S of all value heads.
//
// Of the batch, n_tokens, n_sequences and first_token are read. Bits of a token do not depend on
// how its sequence was cut into steps, nor on what else is in the step.
struct DeltaRuleArgs {
  RaggedBatch batch;
  RecurrentState state;  // n_value_heads * head_dim * head_dim elements of each sequence
  // [n_tokens, (2 n_key_heads + n_value_heads) * head_dim]: queries, keys, values.
  const float* qkv = nullptr;
  const float* gate = nullptr;         // [n_tokens, n_value_heads, head_dim]
  const float* alpha = nullptr;        // [n_tokens, n_value_heads]
  const float* beta = nullptr;         // [n_tokens, n_value_heads]
  const float* alpha_bias = nullptr;   // [n_value_heads]
  const float* decay = nullptr;        // [n_value_heads], below 0
  const float* norm_weight = nullptr;  // [head_dim]
  float* y = nullptr;                  // [n_tokens, n_value_heads, head_dim], may be `gate`
  int n_key_heads = 0;
  int n_value_heads = 0;  // a multiple of n_key_heads
  int head_dim = 0;       // at most kMaxDeltaHeadDim
  bool spreads_key_heads = false;
  float epsilon = 0.0f;
};
Status Validate(const DeltaRuleArgs& args);

}  // namespace forge
