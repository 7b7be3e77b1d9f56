#pragma once

#include "kernels/api/join_columns.h"
#include "kernels/base/status.h"

namespace forge {

// y[r] = x[r] * factor[r], element by element, with factors that may be parts of longer rows. `y`
// may be `x`.
struct MultiplyColumnsArgs {
  const float* x = nullptr;  // [n_rows, factor.n_cols]
  ColumnPart factor;         // at least one column
  float* y = nullptr;        // [n_rows, factor.n_cols]
  int n_rows = 0;
};
Status Validate(const MultiplyColumnsArgs& args);

}  // namespace forge
