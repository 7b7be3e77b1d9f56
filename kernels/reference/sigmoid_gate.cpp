#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceSigmoidGate(const SigmoidGateArgs& args, double* y) {
  for (int64_t row = 0; row < args.n_rows; ++row)
    for (int64_t i = 0; i < args.gate.n_cols; ++i) {
      const double gate = args.gate.x[row * args.gate.stride + i];
      *y++ = double{args.x[row * args.gate.n_cols + i]} / (1.0 + std::exp(-gate));
    }
}

}  // namespace forge
