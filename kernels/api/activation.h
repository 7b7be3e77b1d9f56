#pragma once

namespace forge {

// What a feed-forward layer makes of its two halves. One without a gate makes the same of a gate
// and an `up` of 1.
enum class Activation {
  // gate / (1 + exp(-gate)) * up. Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202.
  kSilu,
  // 0.5 gate (1 + tanh(sqrt(2 / pi) (gate + 0.044715 gate^3))) * up. Hendrycks and Gimpel,
  // arXiv:1606.08415.
  kGeluTanh,
  // With g = min(gate, 7) and u = clamp(up, -7, 7): g / (1 + exp(-1.702 g)) * (u + 1). The
  // gpt-oss family's.
  kSwigluClamped,
  // max(gate, 0)^2 * up. So et al., Primer, arXiv:2109.08668.
  kReluSquared,
};
inline constexpr int kActivations = 4;

constexpr bool IsActivation(Activation activation) {
  return static_cast<int>(activation) >= 0 && static_cast<int>(activation) < kActivations;
}

}  // namespace forge
