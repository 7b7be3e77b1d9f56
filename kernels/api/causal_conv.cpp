#include "kernels/api/causal_conv.h"

#include <string>

namespace forge {

Status Validate(const CausalConvArgs& args) {
  FORGE_TRY(ValidateSequences(args.batch).WithContext("causal_conv"));
  if (args.batch.n_tokens == 0) return Status();
  if (args.n_channels < 1)
    return InvalidArgument("causal_conv: n_channels is not positive: " +
                           std::to_string(args.n_channels));
  if (args.n_taps < 2 || args.n_taps > kMaxConvTaps)
    return InvalidArgument("causal_conv: n_taps must be in [2, " + std::to_string(kMaxConvTaps) +
                           "]: " + std::to_string(args.n_taps));
  if (args.x == nullptr || args.weight == nullptr || args.y == nullptr)
    return InvalidArgument("causal_conv: x, weight or y is null");
  if ((args.x_gate == nullptr) != (args.y_gate == nullptr))
    return InvalidArgument("causal_conv: of x_gate and y_gate one is null");
  if (args.y == args.x || args.y == args.x_gate)
    return InvalidArgument("causal_conv: y must be neither x nor x_gate");
  return Validate("causal_conv", args.state, (args.n_taps - 1) * int64_t{args.n_channels});
}

}  // namespace forge
