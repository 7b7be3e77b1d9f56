#include "daemon/telemetry/histogram.h"

#include <algorithm>
#include <limits>

namespace forge {

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds), counts_(std::make_unique<std::atomic<uint64_t>[]>(bounds.size() + 1)) {}

void Histogram::Observe(double value) {
  const auto bound = std::ranges::lower_bound(bounds_, value);
  counts_[static_cast<size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

prometheus::ClientMetric Histogram::Collect() const {
  prometheus::ClientMetric metric;
  uint64_t n_observed = 0;
  for (size_t i = 0; i <= bounds_.size(); ++i) {
    n_observed += counts_[i].load(std::memory_order_relaxed);
    metric.histogram.bucket.push_back(
        {.cumulative_count = n_observed,
         .upper_bound = i < bounds_.size() ? bounds_[i] : std::numeric_limits<double>::infinity()});
  }
  metric.histogram.sample_count = n_observed;
  metric.histogram.sample_sum = sum_.load(std::memory_order_relaxed);
  return metric;
}

}  // namespace forge
