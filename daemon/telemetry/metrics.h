#pragma once

#include <prometheus/counter.h>
#include <prometheus/metric_family.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/residency/residency_event.h"
#include "daemon/telemetry/histogram.h"
#include "daemon/telemetry/metric_list.h"
#include "daemon/telemetry/model_metrics.h"
#include "kernels/base/mutex.h"

namespace forge {

// Counts what the daemon did since its start: what requests of each model came to, loads, models
// that had to go, and calls that were rejected.
//
// The number of series is bounded: models count from when they are first resident, at most
// kMaxModels of them by name; reasons, results and causes are those that exist. Counts of a model
// stay when it goes. Thread-safe.
class Metrics {
 public:
  static constexpr size_t kMaxModels = 100;
  // The label of further models, and of reasons that are not among those known.
  static constexpr std::string_view kOther = "_other";

  // `reasons`: that calls may be rejected for.
  explicit Metrics(const std::vector<std::string>& reasons);

  // What `name`, a model that is or was resident, counts by. Takes a lock, and so is not for the
  // executor. The reference stays right as long as this lives.
  ModelMetrics& ForModel(const std::string& name);
  // Takes a lock for a moment.
  void Count(const ResidencyEvent& event);
  void CountRejection(std::string_view reason);

  // The labels of the models that are resident, by the engine's ids. Several may have one label.
  std::map<ModelId, std::string> Residents() const;
  // Everything that was counted.
  std::vector<prometheus::MetricFamily> Collect() const;

 private:
  static constexpr std::array<std::string_view, 4> kLoadResults = {"loaded", "failed", "stopped",
                                                                   "refused"};
  static constexpr size_t kCauses = static_cast<size_t>(ResidencyAction::UnloadCause::kAsked) + 1;

  ModelMetrics& FindOrAdd(const std::string& name) FORGE_REQUIRES(mutex_);
  std::vector<const ModelMetrics*> Models() const;

  std::array<prometheus::Counter, kLoadResults.size()> loads_;
  std::array<prometheus::Counter, kCauses> evictions_;
  Histogram load_time_{kLoadBounds};
  std::map<std::string, prometheus::Counter, std::less<>> rejections_;  // none is added later

  mutable Mutex mutex_;
  // By label. None is taken away.
  std::map<std::string, std::unique_ptr<ModelMetrics>> models_ FORGE_GUARDED_BY(mutex_);
  std::map<ModelId, const ModelMetrics*> residents_ FORGE_GUARDED_BY(mutex_);
};

// A name as the value of a label: UTF-8 without control characters, at most 256 bytes.
std::string LabelOf(std::string_view name);

}  // namespace forge
