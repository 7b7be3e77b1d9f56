#include "kernels/api/silu_mul.h"

#include <string>

namespace forge {

Status Validate(const SiluMulArgs& args) {
  if (args.n < 0) return InvalidArgument("silu_mul: n is negative: " + std::to_string(args.n));
  if (args.n == 0) return Status();
  if (args.gate == nullptr || args.up == nullptr || args.y == nullptr)
    return InvalidArgument("silu_mul: gate, up or y is null");
  return Status();
}

}  // namespace forge
