#include "kernels/api/combine_experts.h"

#include <string>

namespace forge {

Status Validate(const CombineExpertsArgs& args) {
  if (args.n_tokens < 0 || args.n_used <= 0 || args.dim <= 0)
    return InvalidArgument(
        "combine_experts: n_tokens must not be negative, n_used and dim must be positive: "
        "n_tokens " +
        std::to_string(args.n_tokens) + ", n_used " + std::to_string(args.n_used) + ", dim " +
        std::to_string(args.dim));
  if (args.n_tokens == 0) return Status();
  if (args.x == nullptr || args.weights == nullptr || args.y == nullptr)
    return InvalidArgument("combine_experts: x, weights or y is null");
  if (args.shared_gate != nullptr && args.shared == nullptr)
    return InvalidArgument("combine_experts: shared_gate without shared");
  return Status();
}

}  // namespace forge
