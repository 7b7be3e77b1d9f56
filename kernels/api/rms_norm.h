#pragma once

#include "kernels/base/status.h"

namespace forge {

// y[r] = residual[r] + x[r] / sqrt(mean(x[r]^2) + epsilon) * weight. `y` may be `x`, or
// `residual`. Zhang and Sennrich, arXiv:1910.07467.
struct RmsNormArgs {
  const float* x = nullptr;         // [n_rows, dim]
  const float* weight = nullptr;    // [dim]
  const float* residual = nullptr;  // [n_rows, dim], or null
  float* y = nullptr;               // [n_rows, dim]
  int n_rows = 0;
  int dim = 0;
  float epsilon = 0.0f;
};
Status Validate(const RmsNormArgs& args);

}  // namespace forge
