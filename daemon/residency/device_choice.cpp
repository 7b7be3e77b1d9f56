#include "daemon/residency/device_choice.h"

#include <tuple>

#include "kernels/base/check.h"

namespace forge {

size_t ChooseDevice(std::span<const DeviceCandidate> candidates) {
  FORGE_CHECK(!candidates.empty(), "there is no device to choose");
  const auto rank = [](const DeviceCandidate& candidate) {
    using enum ResidencyDecision::Kind;
    const ResidencyDecision& decision = candidate.decision;
    const int fit = decision.kind == kRefuse                          ? 2
                    : decision.kind == kAdmit && !candidate.is_paused ? 0
                                                                      : 1;
    const bool has_to_wait = decision.kind == kWait || candidate.is_paused;
    return std::tuple(fit, candidate.is_cpu, has_to_wait, decision.eviction_cost);
  };
  size_t best = 0;
  for (size_t i = 1; i < candidates.size(); ++i)
    if (rank(candidates[i]) < rank(candidates[best])) best = i;
  return best;
}

}  // namespace forge
