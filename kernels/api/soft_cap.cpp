#include "kernels/api/soft_cap.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const SoftCapArgs& args) {
  if (args.n < 0) return InvalidArgument("soft_cap: n is negative: " + std::to_string(args.n));
  if (!std::isfinite(args.cap) || args.cap <= 0.0f)
    return InvalidArgument("soft_cap: cap must be finite and positive: " +
                           std::to_string(args.cap));
  if (args.n == 0) return Status();
  if (args.x == nullptr || args.y == nullptr) return InvalidArgument("soft_cap: x or y is null");
  return Status();
}

}  // namespace forge
