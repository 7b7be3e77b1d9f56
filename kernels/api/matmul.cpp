#include "kernels/api/matmul.h"

#include <cmath>
#include <string>

namespace forge {
namespace {

Status Validate(const InputNorm& norm) {
  if (norm.weight == nullptr) return Status();
  if (norm.scratch == nullptr) return InvalidArgument("norm: scratch is null");
  if (!std::isfinite(norm.epsilon) || norm.epsilon < 0.0f)
    return InvalidArgument("norm: epsilon must be finite and not negative: " +
                           std::to_string(norm.epsilon));
  if (norm.bias != nullptr && !norm.is_centred)
    return InvalidArgument("norm: only a centred norm has a bias");
  return Status();
}

// REQUIRES: args.activation is set.
Status ValidateActivation(const MatmulArgs& args) {
  if (!IsActivation(*args.activation))
    return InvalidArgument("there is no such activation: " +
                           std::to_string(static_cast<int>(*args.activation)));
  if (args.n_targets > 2)
    return InvalidArgument("an activation takes one target or two: n_targets " +
                           std::to_string(args.n_targets));
  if (args.targets[0].residual != nullptr)
    return InvalidArgument("the targets of an activation have no residuals");
  if (args.n_targets == 1) return Status();
  const MatmulTarget &gate = args.targets[0], &up = args.targets[1];
  if (gate.weight.shape.n_rows != up.weight.shape.n_rows)
    return InvalidArgument("an activation takes two targets of one size: n_out " +
                           std::to_string(gate.weight.shape.n_rows) + " and " +
                           std::to_string(up.weight.shape.n_rows));
  if (up.residual != nullptr)
    return InvalidArgument("the targets of an activation have no residuals");
  return Status();
}

Status Validate(const MatmulTarget& target, int64_t n_in) {
  FORGE_TRY(Validate(target.weight));
  if (target.weight.shape.n_cols != n_in)
    return InvalidArgument("all matrices must take the same input: n_in " + std::to_string(n_in) +
                           ", this one takes " + std::to_string(target.weight.shape.n_cols));
  if (target.y == nullptr) return InvalidArgument("y is null");
  return Status();
}

}  // namespace

Status Validate(const MatmulArgs& args) {
  const int max_targets = static_cast<int>(args.targets.size());
  if (args.n_tokens < 0)
    return InvalidArgument("matmul: n_tokens is negative: " + std::to_string(args.n_tokens));
  if (args.n_prompt_tokens < 0 || args.n_prompt_tokens > args.n_tokens)
    return InvalidArgument("matmul: n_prompt_tokens is " + std::to_string(args.n_prompt_tokens) +
                           " of " + std::to_string(args.n_tokens) + " tokens");
  if (args.n_targets < 1 || args.n_targets > max_targets)
    return InvalidArgument("matmul: n_targets must be in [1, " + std::to_string(max_targets) +
                           "]: " + std::to_string(args.n_targets));
  if (args.n_tokens == 0) return Status();
  if (args.x == nullptr) return InvalidArgument("matmul: x is null");
  FORGE_TRY(Validate(args.norm).WithContext("matmul"));
  const int64_t n_in = args.targets[0].weight.shape.n_cols;
  for (int i = 0; i < args.n_targets; ++i) {
    const Status status = Validate(args.targets[static_cast<size_t>(i)], n_in);
    // The context is a string: only where it is needed, since this runs with every product.
    if (!status.ok()) return status.WithContext("matmul target " + std::to_string(i));
  }
  return args.activation ? ValidateActivation(args).WithContext("matmul") : Status();
}

}  // namespace forge
