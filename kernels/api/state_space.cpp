#include "kernels/api/state_space.h"

#include <string>

namespace forge {
namespace {

Status CheckRange(const char* name, int value, int most) {
  if (value >= 1 && value <= most) return Status();
  return InvalidArgument("state_space: " + std::string(name) + " must be in [1, " +
                         std::to_string(most) + "]: " + std::to_string(value));
}

}  // namespace

Status Validate(const StateSpaceArgs& args) {
  FORGE_TRY(ValidateSequences(args.batch).WithContext("state_space"));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(CheckRange("head_dim", args.head_dim, kMaxStateHeadDim));
  FORGE_TRY(CheckRange("state_dim", args.state_dim, kMaxStateDim));
  if (args.n_groups < 1 || args.n_heads < 1 || args.n_heads % args.n_groups != 0)
    return InvalidArgument(
        "state_space: n_heads must be a positive multiple of n_groups: n_heads " +
        std::to_string(args.n_heads) + ", n_groups " + std::to_string(args.n_groups));
  if (args.xbc == nullptr || args.gate == nullptr || args.step == nullptr || args.y == nullptr)
    return InvalidArgument("state_space: xbc, gate, step or y is null");
  if (args.step_bias == nullptr || args.decay == nullptr || args.skip == nullptr)
    return InvalidArgument("state_space: step_bias, decay or skip is null");
  return Validate("state_space", args.state,
                  int64_t{args.n_heads} * args.state_dim * args.head_dim);
}

}  // namespace forge
