#pragma once

#include <prometheus/client_metric.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

namespace forge {

// Counts observations by size. Lock-free, unlike the histogram of prometheus-cpp: the executor
// observes, and must not wait for a scrape. Thread-safe.
class Histogram {
 public:
  // `bounds`: ascending; an observation is counted with the first bound that is not below it.
  // Lifetime: they must outlive the histogram.
  explicit Histogram(std::span<const double> bounds);

  void Observe(double value);
  // What was observed before; of observations under way a part. Never less than the time before.
  prometheus::ClientMetric Collect() const;

 private:
  const std::span<const double> bounds_;
  const std::unique_ptr<std::atomic<uint64_t>[]> counts_;  // [bounds + 1], the last above all
  std::atomic<double> sum_ = 0.0;
};

}  // namespace forge
