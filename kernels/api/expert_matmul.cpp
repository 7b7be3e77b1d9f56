#include "kernels/api/expert_matmul.h"

#include <limits>
#include <string>

namespace forge {
namespace {

Status Validate(const ExpertMatmulTarget& target, const ExpertMatmulTarget& first) {
  FORGE_TRY(Validate(target.weights));
  if (target.weights.first.shape.n_cols != first.weights.first.shape.n_cols)
    return InvalidArgument("all matrices must take the same input: n_in " +
                           std::to_string(first.weights.first.shape.n_cols) + ", this one takes " +
                           std::to_string(target.weights.first.shape.n_cols));
  if (target.weights.n_experts != first.weights.n_experts)
    return InvalidArgument("all targets must have the same experts: n_experts " +
                           std::to_string(first.weights.n_experts) + ", this one has " +
                           std::to_string(target.weights.n_experts));
  if (target.y == nullptr) return InvalidArgument("y is null");
  return Status();
}

// REQUIRES: args.activation is set.
Status ValidateActivation(const ExpertMatmulArgs& args) {
  if (!IsActivation(*args.activation))
    return InvalidArgument("expert_matmul: there is no such activation: " +
                           std::to_string(static_cast<int>(*args.activation)));
  if (args.n_targets == 1) return Status();
  const int64_t n_gate = args.targets[0].weights.first.shape.n_rows;
  const int64_t n_up = args.targets[1].weights.first.shape.n_rows;
  if (n_gate == n_up) return Status();
  return InvalidArgument("expert_matmul: gate and up of an activation are of one size: n_out " +
                         std::to_string(n_gate) + " and " + std::to_string(n_up));
}

}  // namespace

Status Validate(const ExpertWeights& weights) {
  FORGE_TRY(Validate(weights.first));
  if (weights.n_experts <= 0)
    return InvalidArgument("expert weights: n_experts must be positive: " +
                           std::to_string(weights.n_experts));
  if (weights.stride_bytes == 0 || weights.stride_bytes % 64 != 0)
    return InvalidArgument("expert weights: stride_bytes must be a positive multiple of 64: " +
                           std::to_string(weights.stride_bytes));
  return Status();
}

Status Validate(const ExpertMatmulArgs& args) {
  const int max_targets = static_cast<int>(args.targets.size());
  if (args.n_x_rows < 0 || args.pairs_per_row <= 0 ||
      int64_t{args.n_x_rows} * args.pairs_per_row > std::numeric_limits<int32_t>::max())
    return InvalidArgument(
        "expert_matmul: n_x_rows must not be negative, pairs_per_row must be positive, and their "
        "product below 2^31: n_x_rows " +
        std::to_string(args.n_x_rows) + ", pairs_per_row " + std::to_string(args.pairs_per_row));
  if (args.n_targets < 1 || args.n_targets > max_targets)
    return InvalidArgument("expert_matmul: n_targets must be in [1, " +
                           std::to_string(max_targets) + "]: " + std::to_string(args.n_targets));
  if (args.n_x_rows == 0) return Status();
  if (args.x == nullptr || args.experts == nullptr)
    return InvalidArgument("expert_matmul: x or experts is null");
  for (int i = 0; i < args.n_targets; ++i) {
    const Status status = Validate(args.targets[static_cast<size_t>(i)], args.targets[0]);
    if (!status.ok()) return status.WithContext("expert_matmul target " + std::to_string(i));
  }
  return args.activation ? ValidateActivation(args) : Status();
}

}  // namespace forge
