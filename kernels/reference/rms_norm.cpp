#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceRmsNorm(const float* x, const float* weight, const float* residual, double* y,
                      int64_t n_rows, int64_t dim, double epsilon) {
  for (int64_t r = 0; r < n_rows; ++r) {
    double squares = 0.0;
    for (int64_t i = 0; i < dim; ++i) {
      const double v = x[r * dim + i];
      squares += v * v;
    }
    const double rms = std::sqrt(squares / static_cast<double>(dim) + epsilon);
    for (int64_t i = 0; i < dim; ++i) {
      const int64_t at = r * dim + i;
      const double normed = static_cast<double>(x[at]) / rms * static_cast<double>(weight[i]);
      y[at] = residual == nullptr ? normed : static_cast<double>(residual[at]) + normed;
    }
  }
}

void ReferenceLayerNorm(const float* x, const float* weight, const float* bias,
                        const float* residual, double* y, int64_t n_rows, int64_t dim,
                        double epsilon) {
  for (int64_t r = 0; r < n_rows; ++r) {
    double sum = 0.0;
    for (int64_t i = 0; i < dim; ++i) sum += static_cast<double>(x[r * dim + i]);
    const double mean = sum / static_cast<double>(dim);
    double squares = 0.0;
    for (int64_t i = 0; i < dim; ++i) {
      const double v = static_cast<double>(x[r * dim + i]) - mean;
      squares += v * v;
    }
    const double deviation = std::sqrt(squares / static_cast<double>(dim) + epsilon);
    for (int64_t i = 0; i < dim; ++i) {
      const int64_t at = r * dim + i;
      double normed =
          (static_cast<double>(x[at]) - mean) / deviation * static_cast<double>(weight[i]);
      if (bias != nullptr) normed += static_cast<double>(bias[i]);
      y[at] = residual == nullptr ? normed : static_cast<double>(residual[at]) + normed;
    }
  }
}

}  // namespace forge
