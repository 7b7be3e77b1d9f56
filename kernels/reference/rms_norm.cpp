#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceRmsNorm(const float* x, const float* weight, double* y, int64_t n_rows, int64_t dim,
                      double epsilon) {
  for (int64_t r = 0; r < n_rows; ++r) {
    double squares = 0.0;
    for (int64_t i = 0; i < dim; ++i) {
      const double v = x[r * dim + i];
      squares += v * v;
    }
    const double rms = std::sqrt(squares / static_cast<double>(dim) + epsilon);
    for (int64_t i = 0; i < dim; ++i)
      y[r * dim + i] = static_cast<double>(x[r * dim + i]) / rms * static_cast<double>(weight[i]);
  }
}

}  // namespace forge
