#include "kernels/reference/reference.h"

namespace forge {

void ReferenceMultiplyColumns(const MultiplyColumnsArgs& args, double* y) {
  for (int64_t row = 0; row < args.n_rows; ++row)
    for (int64_t i = 0; i < args.factor.n_cols; ++i)
      *y++ = double{args.x[row * args.factor.n_cols + i]} *
             double{args.factor.x[row * args.factor.stride + i]};
}

}  // namespace forge
