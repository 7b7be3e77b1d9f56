#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceCausalConv(const float* x, const float* weight, double* y, int64_t n_tokens,
                         int64_t n_channels, int64_t n_taps) {
  for (int64_t token = 0; token < n_tokens; ++token)
    for (int64_t channel = 0; channel < n_channels; ++channel) {
      double sum = 0.0;
      for (int64_t k = 0; k < n_taps; ++k) {
        const int64_t from = token - (n_taps - 1) + k;
        if (from >= 0)
          sum += double{weight[channel * n_taps + k]} * double{x[from * n_channels + channel]};
      }
      y[token * n_channels + channel] = sum / (1.0 + std::exp(-sum));
    }
}

}  // namespace forge
