#include "kernels/api/delta_rule.h"

#include <cmath>
#include <string>

namespace forge {
namespace {

Status ValidateShape(const DeltaRuleArgs& args) {
  if (args.head_dim < 1 || args.head_dim > kMaxDeltaHeadDim)
    return InvalidArgument("delta_rule: head_dim must be in [1, " +
                           std::to_string(kMaxDeltaHeadDim) +
                           "]: " + std::to_string(args.head_dim));
  if (args.n_key_heads < 1 || args.n_value_heads < 1 || args.n_value_heads % args.n_key_heads != 0)
    return InvalidArgument(
        "delta_rule: n_value_heads must be a positive multiple of n_key_heads: n_value_heads " +
        std::to_string(args.n_value_heads) + ", n_key_heads " + std::to_string(args.n_key_heads));
  if (!std::isfinite(args.epsilon) || args.epsilon < 0.0f)
    return InvalidArgument("delta_rule: epsilon must be finite and not negative: " +
                           std::to_string(args.epsilon));
  return Status();
}

}  // namespace

Status Validate(const DeltaRuleArgs& args) {
  FORGE_TRY(ValidateSequences(args.batch).WithContext("delta_rule"));
  if (args.batch.n_tokens == 0) return Status();
  FORGE_TRY(ValidateShape(args));
  if (args.qkv == nullptr || args.gate == nullptr || args.alpha == nullptr ||
      args.beta == nullptr || args.y == nullptr)
    return InvalidArgument("delta_rule: qkv, gate, alpha, beta or y is null");
  if (args.alpha_bias == nullptr || args.decay == nullptr || args.norm_weight == nullptr)
    return InvalidArgument("delta_rule: alpha_bias, decay or norm_weight is null");
  return Validate("delta_rule", args.state,
                  int64_t{args.n_value_heads} * args.head_dim * args.head_dim);
}

}  // namespace forge
