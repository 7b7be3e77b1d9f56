#pragma once

#include "kernels/base/status.h"

namespace forge {

// y[t] = sum_k weights[t, k] * x[t, k] + sigmoid(shared_gate[t]) * shared[t] + residual[t]
// with the terms whose pointers are there; `shared` without `shared_gate` counts whole. With n_used
// 1 and no other term it scales rows, and then `y` may be `x`.
struct CombineExpertsArgs {
  const float* x = nullptr;            // [n_tokens, n_used, dim]
  const float* weights = nullptr;      // [n_tokens, n_used]
  const float* shared = nullptr;       // [n_tokens, dim], or null: the shared expert's result
  const float* shared_gate = nullptr;  // [n_tokens], logits, or null
  const float* residual = nullptr;     // [n_tokens, dim], or null; may be `y`
  float* y = nullptr;                  // [n_tokens, dim]
  int n_tokens = 0;
  int n_used = 0;
  int dim = 0;
};
Status Validate(const CombineExpertsArgs& args);

}  // namespace forge
