#pragma once

#include <array>

#include "kernels/api/weight.h"
#include "kernels/base/status.h"

namespace forge {

// One product of a MatmulArgs: y = x W^T + bias + residual.
struct MatmulTarget {
  WeightView weight;                // [n_out, n_in], packed
  const float* bias = nullptr;      // [n_out], or null
  const float* residual = nullptr;  // [n_tokens, n_out], or null; may be `y`
  float* y = nullptr;               // [n_tokens, n_out]
};

// Multiplies the same activations with up to three matrices (Q, K and V; gate and up), so that a
// device quantises them once and enters one parallel region.
//
// Devices may round activations to 8-bit blocks for quantised weights; with F32 weights everything
// is float32, with F16 and BF16 weights the weights are exact and activations float32.
struct MatmulArgs {
  const float* x = nullptr;  // [n_tokens, n_in]
  int n_tokens = 0;
  int n_targets = 0;
  std::array<MatmulTarget, 3> targets;  // the first n_targets are used; all share n_in
  Workspace workspace;                  // Device::MatmulWorkspaceBytes(n_tokens, n_in)
};
Status Validate(const MatmulArgs& args);

}  // namespace forge
