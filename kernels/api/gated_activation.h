#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// What a feed-forward layer makes of its two halves.
enum class Activation {
  // gate / (1 + exp(-gate)) * up. Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202.
  kSilu,
  // 0.5 gate (1 + tanh(sqrt(2 / pi) (gate + 0.044715 gate^3))) * up. Hendrycks and Gimpel,
  // arXiv:1606.08415.
  kGeluTanh,
  // With g = min(gate, 7) and u = clamp(up, -7, 7): g / (1 + exp(-1.702 g)) * (u + 1). The
  // gpt-oss family's.
  kSwigluClamped,
};

// y[i] = activation(gate[i], up[i]). `y` may be `gate` or `up`.
struct GatedActivationArgs {
  Activation activation = Activation::kSilu;
  const float* gate = nullptr;  // [n]
  const float* up = nullptr;    // [n]
  float* y = nullptr;           // [n]
  int64_t n = 0;
};
Status Validate(const GatedActivationArgs& args);

}  // namespace forge
