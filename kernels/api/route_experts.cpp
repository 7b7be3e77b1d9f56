#include "kernels/api/route_experts.h"

#include <cmath>
#include <string>

namespace forge {
namespace {

Status ValidateGroups(const RouteExpertsArgs& args) {
  const std::string values = "n_groups " + std::to_string(args.n_groups) + ", n_groups_used " +
                             std::to_string(args.n_groups_used) + ", n_experts " +
                             std::to_string(args.n_experts) + ", n_used " +
                             std::to_string(args.n_used);
  if (args.n_groups < 1 || args.n_groups > kMaxExpertGroups || args.n_groups_used < 1 ||
      args.n_groups_used > args.n_groups)
    return InvalidArgument("route_experts: n_groups must be in [1, 32], n_groups_used in [1, " +
                           std::string("n_groups]: ") + values);
  if (args.n_groups == 1) return Status();
  const int group_size = args.n_experts / args.n_groups;
  if (group_size * args.n_groups != args.n_experts || group_size < 2 ||
      args.n_groups_used * group_size < args.n_used)
    return InvalidArgument(
        "route_experts: groups are of equally many experts, two or more, and those that are used "
        "have n_used of them: " +
        values);
  return Status();
}

}  // namespace

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
  FORGE_TRY(ValidateGroups(args));
  if (args.gate == ExpertGate::kTopKThenSoftmax &&
      (args.selection_bias != nullptr || args.n_groups != 1))
    return InvalidArgument(
        "route_experts: a selection_bias or groups need weights before experts are chosen, and "
        "this gate weighs the chosen ones");
  if (!std::isfinite(args.scale))
    return InvalidArgument("route_experts: scale is not finite: " + std::to_string(args.scale));
  if (args.n_tokens == 0) return Status();
  if (args.logits == nullptr || args.experts == nullptr || args.weights == nullptr)
    return InvalidArgument("route_experts: logits, experts or weights is null");
  return Status();
}

}  // namespace forge
