#include "kernels/reference/reference.h"

namespace forge {

void ReferenceJoinColumns(const JoinColumnsArgs& args, double* y) {
  for (int64_t row = 0; row < args.n_rows; ++row)
    for (const ColumnPart& part : {args.first, args.second})
      for (int64_t i = 0; i < part.n_cols; ++i) *y++ = double{part.x[row * part.stride + i]};
}

}  // namespace forge
