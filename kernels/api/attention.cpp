#include "kernels/api/attention.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const AttentionArgs& args) {
  FORGE_TRY(Validate(args.batch).WithContext("attention"));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(Validate(args.cache).WithContext("attention"));
  if (args.q == nullptr || args.y == nullptr) return InvalidArgument("attention: q or y is null");
  if (args.n_heads <= 0 || args.n_heads % args.cache.n_kv_heads != 0)
    return InvalidArgument(
        "attention: n_heads must be a positive multiple of n_kv_heads: n_heads " +
        std::to_string(args.n_heads) + ", n_kv_heads " + std::to_string(args.cache.n_kv_heads));
  if (!std::isfinite(args.scale))
    return InvalidArgument("attention: scale is not finite: " + std::to_string(args.scale));
  if (!std::isfinite(args.soft_cap) || args.soft_cap < 0.0f)
    return InvalidArgument("attention: soft_cap must be finite and not negative: " +
                           std::to_string(args.soft_cap));
  if (args.window < 0)
    return InvalidArgument("attention: window is negative: " + std::to_string(args.window));
  if (args.window != 0 && args.last_seen != nullptr)
    return Unimplemented("attention: a window goes back from each token's own position: window " +
                         std::to_string(args.window) + " with last_seen");
  if (args.window != 0 && args.cache.values_in_keys)
    return Unimplemented("attention: a window needs values of their own: window " +
                         std::to_string(args.window));
  if (args.workspace.data == nullptr || args.workspace.bytes == 0)
    return InvalidArgument("attention: there is no workspace");
  return Status();
}

}  // namespace forge
