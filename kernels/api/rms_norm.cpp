#include "kernels/api/rms_norm.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const RmsNormArgs& args) {
  if (args.n_rows < 0 || args.dim <= 0)
    return InvalidArgument(
        "rms_norm: n_rows must not be negative and dim must be positive: n_rows " +
        std::to_string(args.n_rows) + ", dim " + std::to_string(args.dim));
  if (args.n_weight_rows < 1)
    return InvalidArgument("rms_norm: n_weight_rows must be positive: " +
                           std::to_string(args.n_weight_rows));
  if (!std::isfinite(args.epsilon) || args.epsilon < 0.0f)
    return InvalidArgument("rms_norm: epsilon must be finite and not negative: " +
                           std::to_string(args.epsilon));
  if (args.bias != nullptr && !args.is_centred)
    return InvalidArgument("rms_norm: only a centred norm has a bias");
  if (args.n_rows == 0) return Status();
  if (args.x == nullptr || args.y == nullptr) return InvalidArgument("rms_norm: x or y is null");
  return Status();
}

}  // namespace forge
