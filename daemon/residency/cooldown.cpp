#include "daemon/residency/cooldown.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace forge {

using std::chrono::milliseconds;

void Cooldown::Start(const Status& status, milliseconds first, milliseconds longest,
                     milliseconds now) {
  failure = status;
  // Doubled each time; the shift is bounded so that it cannot overflow.
  const auto cooldown = first * (int64_t{1} << std::min(n_failures, 20));
  until = now + std::min<milliseconds>(cooldown, longest);
  ++n_failures;
}

Status Cooldown::Check(const std::string& model, milliseconds now) const {
  if (n_failures == 0 || now >= until) return Status();
  const milliseconds left = until - now;
  return Unavailable(fmt::format("model '{}' could not be loaded and is not tried again for {:.1f} "
                                 "s, or until its file changes: {}",
                                 model, std::chrono::duration<double>(left).count(),
                                 failure.message()))
      .WithReason("MODEL_COOLING_DOWN")
      .WithDetail("model", model)
      .WithDetail("retryAfterMs", static_cast<uint64_t>(left.count()))
      .WithDetail("lastReason", failure.reason());
}

}  // namespace forge
