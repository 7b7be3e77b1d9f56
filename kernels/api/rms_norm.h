#pragma once

#include "kernels/base/status.h"

namespace forge {

// y[r] = residual[r] + x[r] / sqrt(mean(x[r]^2) + epsilon) * weight. `y` may be `x`, or
// `residual`. Zhang and Sennrich, arXiv:1910.07467.
//
// Centred it is layer normalisation: of c[r] = x[r] - mean(x[r]) in place of x[r], plus `bias`. Ba,
// Kiros and Hinton, arXiv:1607.06450.
struct RmsNormArgs {
  const float* x = nullptr;         // [n_rows, dim]
  const float* weight = nullptr;    // [n_weight_rows, dim]; row r takes row r mod n_weight_rows
  const float* residual = nullptr;  // [n_rows, dim], or null
  float* y = nullptr;               // [n_rows, dim]
  int n_rows = 0;
  int dim = 0;
  int n_weight_rows = 1;
  float epsilon = 0.0f;
  bool is_centred = false;
  const float* bias = nullptr;  // as weight, or null; of centred norms only
};
Status Validate(const RmsNormArgs& args);

}  // namespace forge
