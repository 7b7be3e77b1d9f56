#include "kernels/api/gated_activation.h"

#include <string>

namespace forge {

Status Validate(const GatedActivationArgs& args) {
  const auto activation = static_cast<int>(args.activation);
  if (activation < 0 || activation > static_cast<int>(Activation::kSwigluClamped))
    return InvalidArgument("gated_activation: there is no such activation: " +
                           std::to_string(activation));
  if (args.n < 0)
    return InvalidArgument("gated_activation: n is negative: " + std::to_string(args.n));
  if (args.n == 0) return Status();
  if (args.gate == nullptr || args.up == nullptr || args.y == nullptr)
    return InvalidArgument("gated_activation: gate, up or y is null");
  return Status();
}

}  // namespace forge
