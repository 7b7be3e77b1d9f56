#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/reference/reference.h"

namespace forge {
namespace {

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// (1 + tanh(x)) / 2 is the sigmoid of 2 x, which does not cancel where x is far below 0.
double GeluTanh(double g) {
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (g + 0.044715 * g * g * g);
  return g * Sigmoid(2.0 * inner);
}

double SwigluClamped(double gate, double up) {
  const double g = std::min(gate, 7.0);
  return g * Sigmoid(1.702 * g) * (std::clamp(up, -7.0, 7.0) + 1.0);
}

}  // namespace

void ReferenceGatedActivation(Activation activation, const float* gate, const float* up, double* y,
                              int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = gate[i], u = up[i];
    switch (activation) {
      case Activation::kSilu:
        y[i] = g * Sigmoid(g) * u;
        break;
      case Activation::kGeluTanh:
        y[i] = GeluTanh(g) * u;
        break;
      case Activation::kSwigluClamped:
        y[i] = SwigluClamped(g, u);
        break;
      case Activation::kReluSquared:
        y[i] = std::max(g, 0.0) * std::max(g, 0.0) * u;
        break;
    }
  }
}

}  // namespace forge
