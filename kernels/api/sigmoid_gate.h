#pragma once

#include "kernels/api/join_columns.h"
#include "kernels/base/status.h"

namespace forge {

// y[r] = x[r] * sigmoid(gate[r]), with gates that may be parts of longer rows. `y` may be `x`.
struct SigmoidGateArgs {
  const float* x = nullptr;  // [n_rows, gate.n_cols]
  ColumnPart gate;           // at least one column
  float* y = nullptr;        // [n_rows, gate.n_cols]
  int n_rows = 0;
};
Status Validate(const SigmoidGateArgs& args);

}  // namespace forge
