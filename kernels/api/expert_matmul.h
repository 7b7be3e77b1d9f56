#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "kernels/api/activation.h"
#include "kernels/api/weight.h"
#include "kernels/base/status.h"

namespace forge {

// The same matrix of several experts: expert e's is packed like any other, e * stride_bytes after
// the first.
struct ExpertWeights {
  WeightView first;           // [n_out, n_in] of expert 0
  uint64_t stride_bytes = 0;  // a multiple of 64, at least Device::PackedWeightBytes(first.shape)
  int n_experts = 0;
};
Status Validate(const ExpertWeights& weights);

// One product of an ExpertMatmulArgs.
struct ExpertMatmulTarget {
  ExpertWeights weights;
  const float* bias = nullptr;  // [n_experts, n_out], or null
  float* y = nullptr;           // [n_pairs, n_out]
};

// Multiplies each row of activations with the matrices of the experts chosen for it: with
// n_pairs = n_x_rows * pairs_per_row,
//   y[i] = x[i / pairs_per_row] W(experts[i])^T + bias[experts[i]] for each pair i.
// Up to two targets (gate and up) share the activations. A device gathers the pairs by expert, so
// that a step reads each expert's weights once. Rounds as MatmulArgs does.
struct ExpertMatmulArgs {
  const float* x = nullptr;  // [n_x_rows, n_in]
  int n_x_rows = 0;
  int pairs_per_row = 0;
  const int32_t* experts = nullptr;  // [n_pairs], each in [0, n_experts); device memory
  int n_targets = 0;
  std::array<ExpertMatmulTarget, 2> targets;  // the first n_targets; all share n_in and n_experts
  // If set, two targets are gate and up, of the same n_out, and the first's y is
  // activation(gate, up); the second's is unspecified afterwards. The y of one alone is
  // activation(y, 1).
  std::optional<Activation> activation = std::nullopt;
  // The same experts for as many pairs as in the stream's last expert_matmul, with its workspace as
  // it left it: a device may go on with how it gathered the pairs there.
  bool repeats_pairs = false;
  Workspace workspace;  // Device::ExpertMatmulWorkspaceBytes(...)
};
Status Validate(const ExpertMatmulArgs& args);

}  // namespace forge
