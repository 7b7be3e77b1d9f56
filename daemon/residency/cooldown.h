#pragma once

#include <chrono>
#include <string>

#include "kernels/base/status.h"

namespace forge {

// How long a model that could not be loaded is not tried again on demand: twice as long after each
// further failure. Times count from one origin of whoever uses it. Not thread-safe.
struct Cooldown {
  int n_failures = 0;
  std::chrono::milliseconds until{0};
  Status failure;  // the last one

  // A load failed `now`, for the first time or once more.
  void Start(const Status& status, std::chrono::milliseconds first,
             std::chrono::milliseconds longest, std::chrono::milliseconds now);
  // kUnavailable (reason MODEL_COOLING_DOWN, with lastReason and retryAfterMs) while it lasts.
  Status Check(const std::string& model, std::chrono::milliseconds now) const;
};

}  // namespace forge
