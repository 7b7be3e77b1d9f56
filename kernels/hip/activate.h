#pragma once

#include "kernels/api/activation.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

FORGE_DEVICE float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

FORGE_DEVICE float Activate(Activation activation, float gate, float up) {
  switch (activation) {
    case Activation::kSilu:
      // The division comes last: where the exponential is infinite the result is 0, not NaN.
      return gate / (1.0f + expf(-gate)) * up;
    case Activation::kGeluTanh: {
      // (1 + tanh(x)) / 2 is the sigmoid of 2 x, which does not cancel far below 0.
      const float inner = 0.7978845608f * (gate + 0.044715f * gate * gate * gate);
      return gate * Sigmoid(2.0f * inner) * up;
    }
    case Activation::kSwigluClamped: {
      // A NaN stays one: it compares false.
      const float g = gate > 7.0f ? 7.0f : gate;
      const float u = up > 7.0f ? 7.0f : up < -7.0f ? -7.0f : up;
      return g * Sigmoid(1.702f * g) * (u + 1.0f);
    }
    case Activation::kReluSquared: {
      const float g = gate < 0.0f ? 0.0f : gate;  // a NaN stays one
      return g * g * up;
    }
  }
  return 0.0f;
}

}  // namespace forge
