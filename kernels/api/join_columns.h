#pragma once

#include "kernels/base/status.h"

namespace forge {

// The first n_cols elements of each row of an array whose rows lie `stride` elements apart.
struct ColumnPart {
  const float* x = nullptr;
  int stride = 0;  // at least n_cols
  int n_cols = 0;  // 0: the part is none, and x is not read
};

// y[i] = row i of `first`, then row i of `second`: takes parts of heads apart and puts others
// together. `y` must not overlap what is read.
struct JoinColumnsArgs {
  ColumnPart first = {}, second = {};
  float* y = nullptr;  // [n_rows, first.n_cols + second.n_cols]
  int n_rows = 0;
};
Status Validate(const JoinColumnsArgs& args);

}  // namespace forge
