#pragma once

#include "kernels/base/status.h"

namespace forge {

// y[r] = sum_scale * (residual[r] + x[r] / sqrt(mean(x[r]^2) + epsilon) * weight), with what is
// there. `y` may be `x`, or `residual`. Zhang and Sennrich, arXiv:1910.07467.
//
// Centred it is layer normalisation: of c[r] = x[r] - mean(x[r]) in place of x[r], plus `bias`. Ba,
// Kiros and Hinton, arXiv:1607.06450.
struct RmsNormArgs {
  const float* x = nullptr;  // [n_rows, dim]
  // [n_weight_rows, dim], or null: row r is multiplied by row r mod n_weight_rows.
  const float* weight = nullptr;
  const float* residual = nullptr;  // [n_rows, dim], or null
  float* y = nullptr;               // [n_rows, dim]
  int n_rows = 0;
  int dim = 0;
  int n_weight_rows = 1;
  float epsilon = 0.0f;
  bool is_centred = false;
  const float* bias = nullptr;       // as weight, or null; of centred norms only
  const float* sum_scale = nullptr;  // [1], or null; device memory
};
Status Validate(const RmsNormArgs& args);

}  // namespace forge
