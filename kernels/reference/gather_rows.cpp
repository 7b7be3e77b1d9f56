#include "kernels/reference/reference.h"

namespace forge {

void ReferenceGatherRows(const float* x, const int32_t* rows, double* y, int64_t n_rows,
                         int64_t dim) {
  for (int64_t i = 0; i < n_rows; ++i)
    for (int64_t d = 0; d < dim; ++d) y[i * dim + d] = x[rows[i] * dim + d];
}

}  // namespace forge
