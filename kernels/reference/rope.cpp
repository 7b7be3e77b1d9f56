#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceRope(const float* x, const int32_t* positions, const float* frequencies, double scale,
                   double* y, const ReferenceRopeShape& shape) {
  for (int64_t t = 0; t < shape.n_tokens; ++t) {
    for (int64_t h = 0; h < shape.n_heads; ++h) {
      const float* in = x + (t * shape.n_heads + h) * shape.head_dim;
      double* out = y + (t * shape.n_heads + h) * shape.head_dim;
      for (int64_t i = 0; i < shape.head_dim; ++i) out[i] = in[i];
      for (int64_t pair = 0; pair < shape.rotary_dim / 2; ++pair) {
        const int64_t first = shape.halves ? pair : 2 * pair;
        const int64_t second = shape.halves ? pair + shape.rotary_dim / 2 : 2 * pair + 1;
        const double angle = static_cast<double>(positions[t]) * frequencies[pair];
        const double a = in[first], b = in[second];
        out[first] = scale * (a * std::cos(angle) - b * std::sin(angle));
        out[second] = scale * (a * std::sin(angle) + b * std::cos(angle));
      }
    }
  }
}

}  // namespace forge
