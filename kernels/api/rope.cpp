#include "kernels/api/rope.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const RopeArgs& args) {
  if (args.n_tokens < 0 || args.n_heads <= 0 || args.head_dim <= 0)
    return InvalidArgument(
        "rope: n_tokens must not be negative, n_heads and head_dim must be positive: n_tokens " +
        std::to_string(args.n_tokens) + ", n_heads " + std::to_string(args.n_heads) +
        ", head_dim " + std::to_string(args.head_dim));
  if (args.rotary_dim < 0 || args.rotary_dim > args.head_dim || args.rotary_dim % 2 != 0)
    return InvalidArgument("rope: rotary_dim must be even and in [0, head_dim]: rotary_dim " +
                           std::to_string(args.rotary_dim) + ", head_dim " +
                           std::to_string(args.head_dim));
  if (!std::isfinite(args.scale))
    return InvalidArgument("rope: scale is not finite: " + std::to_string(args.scale));
  if (args.n_tokens == 0 || args.rotary_dim == 0) return Status();
  if (args.x == nullptr || args.positions == nullptr || args.frequencies == nullptr)
    return InvalidArgument("rope: x, positions or frequencies is null");
  return Status();
}

}  // namespace forge
