#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// y[i] = x[rows[i]]. Picks the tokens whose logits are wanted. `y` must not overlap `x`.
struct GatherRowsArgs {
  const float* x = nullptr;       // [n_x_rows, dim]
  const int32_t* rows = nullptr;  // [n_rows], each in [0, n_x_rows)
  float* y = nullptr;             // [n_rows, dim]
  int n_x_rows = 0;
  int n_rows = 0;
  int dim = 0;
};
Status Validate(const GatherRowsArgs& args);

}  // namespace forge
