#include <cmath>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceCausalConv(const CausalConvArgs& args, int64_t n_tokens, double* y) {
  const auto n_channels = static_cast<size_t>(args.n_channels);
  const auto n_taps = static_cast<size_t>(args.n_taps);
  const auto convolved = [&](size_t at) {
    return double{args.x[at]} * (args.x_gate == nullptr ? 1.0 : double{args.x_gate[at]});
  };
  for (size_t token = 0; token < static_cast<size_t>(n_tokens); ++token)
    for (size_t channel = 0; channel < n_channels; ++channel) {
      double sum = args.bias == nullptr ? 0.0 : double{args.bias[channel]};
      for (size_t age = 0; age < n_taps && age <= token; ++age)
        sum += double{args.weight[(channel + 1) * n_taps - 1 - age]} *
               convolved((token - age) * n_channels + channel);
      const size_t at = token * n_channels + channel;
      y[at] = args.y_gate == nullptr ? sum / (1.0 + std::exp(-sum)) : sum * double{args.y_gate[at]};
    }
}

}  // namespace forge
