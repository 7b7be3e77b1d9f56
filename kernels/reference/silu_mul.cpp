#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceSiluMul(const float* gate, const float* up, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = gate[i];
    y[i] = g / (1.0 + std::exp(-g)) * static_cast<double>(up[i]);
  }
}

}  // namespace forge
