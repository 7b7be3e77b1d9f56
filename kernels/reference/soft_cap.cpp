#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceSoftCap(const float* x, double* y, int64_t n, double cap) {
  for (int64_t i = 0; i < n; ++i) y[i] = cap * std::tanh(static_cast<double>(x[i]) / cap);
}

}  // namespace forge
