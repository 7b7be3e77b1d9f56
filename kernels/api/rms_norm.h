#pragma once

#include "kernels/base/status.h"

namespace forge {

// y[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) * weight. `y` may be `x`.
struct RmsNormArgs {
  const float* x = nullptr;       // [n_rows, dim]
  const float* weight = nullptr;  // [dim]
  float* y = nullptr;             // [n_rows, dim]
  int n_rows = 0;
  int dim = 0;
  float epsilon = 0.0f;
};
Status Validate(const RmsNormArgs& args);

}  // namespace forge
