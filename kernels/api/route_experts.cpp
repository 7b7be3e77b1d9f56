#include "kernels/api/route_experts.h"

#include <cmath>
#include <string>

namespace forge {

Status Validate(const RouteExpertsArgs& args) {
  if (args.n_tokens < 0)
    return InvalidArgument("route_experts: n_tokens is negative: " + std::to_string(args.n_tokens));
  if (args.n_used < 1 || args.n_used > args.n_experts)
    return InvalidArgument("route_experts: n_used must be in [1, n_experts]: n_used " +
                           std::to_string(args.n_used) + ", n_experts " +
                           std::to_string(args.n_experts));
  if (args.gate != ExpertGate::kSoftmaxThenTopK && args.gate != ExpertGate::kTopKThenSoftmax &&
      args.gate != ExpertGate::kSigmoid)
    return InvalidArgument("route_experts: there is no such gate: " +
                           std::to_string(static_cast<int>(args.gate)));
  if (args.gate == ExpertGate::kTopKThenSoftmax && args.selection_bias != nullptr)
    return InvalidArgument(
        "route_experts: a selection_bias needs weights before experts are chosen, and this gate "
        "weighs the chosen ones");
  if (!std::isfinite(args.scale))
    return InvalidArgument("route_experts: scale is not finite: " + std::to_string(args.scale));
  if (args.n_tokens == 0) return Status();
  if (args.logits == nullptr || args.experts == nullptr || args.weights == nullptr)
    return InvalidArgument("route_experts: logits, experts or weights is null");
  return Status();
}

}  // namespace forge
