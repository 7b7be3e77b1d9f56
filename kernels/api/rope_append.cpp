#include "kernels/api/rope_append.h"

#include <cmath>
#include <string>

namespace forge {
namespace {

Status Validate(const Rotation& rotation, int head_dim) {
  if (rotation.rotary_dim < 0 || rotation.rotary_dim > head_dim || rotation.rotary_dim % 2 != 0)
    return InvalidArgument(
        "rope_append: rotary_dim must be even and in [0, head_dim]: rotary_dim " +
        std::to_string(rotation.rotary_dim) + ", head_dim " + std::to_string(head_dim));
  if (rotation.rotary_dim > 0 && rotation.frequencies == nullptr)
    return InvalidArgument("rope_append: frequencies is null");
  if (!std::isfinite(rotation.scale))
    return InvalidArgument("rope_append: scale is not finite: " + std::to_string(rotation.scale));
  return Status();
}

}  // namespace

Status Validate(const RopeAppendArgs& args) {
  FORGE_TRY(Validate(args.batch).WithContext("rope_append"));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(Validate(args.cache).WithContext("rope_append"));
  if (args.keys == nullptr && args.n_heads == 0)
    return InvalidArgument("rope_append: keys is null, and there are no queries");
  const bool has_values = args.values != nullptr || args.cache.values_in_keys;
  if (args.keys != nullptr && !has_values) return InvalidArgument("rope_append: values is null");
  if (args.n_heads < 0 || (args.n_heads > 0 && args.queries == nullptr))
    return InvalidArgument(
        "rope_append: n_heads must not be negative, and there must be as many "
        "queries: n_heads " +
        std::to_string(args.n_heads) + (args.queries == nullptr ? ", queries is null" : ""));
  if (!std::isfinite(args.norm_epsilon) || args.norm_epsilon < 0.0f)
    return InvalidArgument("rope_append: norm_epsilon must be finite and not negative: " +
                           std::to_string(args.norm_epsilon));
  return Validate(args.rotation, args.cache.head_dim);
}

}  // namespace forge
