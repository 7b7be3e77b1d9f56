#include "kernels/api/sigmoid_gate.h"

#include <string>

namespace forge {

Status Validate(const SigmoidGateArgs& args) {
  if (args.n_rows < 0)
    return InvalidArgument("sigmoid_gate: n_rows is negative: " + std::to_string(args.n_rows));
  if (args.gate.n_cols < 1 || args.gate.stride < args.gate.n_cols)
    return InvalidArgument(
        "sigmoid_gate: a gate has at least one column, and stride is at least n_cols: n_cols " +
        std::to_string(args.gate.n_cols) + ", stride " + std::to_string(args.gate.stride));
  if (args.n_rows == 0) return Status();
  if (args.x == nullptr || args.gate.x == nullptr || args.y == nullptr)
    return InvalidArgument("sigmoid_gate: x, the gate's x or y is null");
  return Status();
}

}  // namespace forge
