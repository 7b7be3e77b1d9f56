#pragma once

#include <array>
#include <optional>

#include "kernels/api/activation.h"
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

// A norm of the activations before they are multiplied, as RmsNormArgs has it.
struct InputNorm {
  const float* weight = nullptr;  // [n_in]; null: there is none
  float epsilon = 0.0f;
  float* scratch = nullptr;  // [n_tokens, n_in], for the normalised rows; afterwards unspecified
  bool is_centred = false;
  const float* bias = nullptr;  // [n_in], or null; of centred norms only
};

// Multiplies the same activations with up to three matrices (Q, K and V; gate and up), so that a
// device normalises and quantises them once and enters one parallel region.
//
// Devices may round activations to 8-bit blocks for quantised weights; with F32 weights everything
// is float32, with F16 and BF16 weights the weights are exact and activations float32, or 16 bits
// of it for tokens of prompts. For those they may round quantised weights to bfloat16 as well.
struct MatmulArgs {
  const float* x = nullptr;  // [n_tokens, n_in]
  int n_tokens = 0;
  int n_prompt_tokens = 0;  // as in RaggedBatch
  InputNorm norm = {};
  int n_targets = 0;
  std::array<MatmulTarget, 3> targets;  // the first n_targets are used; all share n_in
  // If set, the two targets are gate and up, of the same n_out and without residuals, and the
  // first's y is activation(gate, up); the second's is unspecified afterwards. Of one target y is
  // activation(gate, 1).
  std::optional<Activation> activation = std::nullopt;
  Workspace workspace = {};  // Device::MatmulWorkspaceBytes(n_tokens, n_in)
};
Status Validate(const MatmulArgs& args);

}  // namespace forge
