#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "daemon/telemetry/model_metrics.h"

namespace forge {

// Measures the turns of one conversation, one after the other, on the monotonic clock. A turn whose
// model was never resident is not counted. Lock-free, because the executor calls it for every
// token. Thread-safe.
class TurnMeter {
 public:
  using Clock = std::chrono::steady_clock;

  // A turn came; the one before has ended.
  void Begin();
  // What its model counts by; before the engine has the turn. Lifetime: it outlives the meter.
  void UseModel(ModelMetrics& model) { model_ = &model; }
  void CountToken();
  // What the engine says of the turn. The first call counts: OnFinished may be called again.
  void TakeUsage(const GenerateUsage& usage);
  // The turn ended for its client. The first call counts.
  void End(TurnOutcome outcome);

 private:
  double SecondsSinceStart() const;

  std::atomic<ModelMetrics*> model_ = nullptr;
  std::atomic<Clock::time_point> start_ = Clock::time_point();
  std::atomic<bool> is_open_ = false;
  std::atomic<bool> wants_usage_ = false;
  std::atomic<uint32_t> n_tokens_ = 0;
};

}  // namespace forge
