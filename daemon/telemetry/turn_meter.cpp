#include "daemon/telemetry/turn_meter.h"

namespace forge {

void TurnMeter::Begin() {
  start_ = Clock::now();
  n_tokens_ = 0;
  wants_usage_ = true;
  is_open_ = true;
}

double TurnMeter::SecondsSinceStart() const {
  return std::chrono::duration<double>(Clock::now() - start_.load()).count();
}

void TurnMeter::CountToken() {
  ModelMetrics* const model = model_;
  if (model == nullptr) return;
  model->generation_tokens.Increment();
  if (n_tokens_++ == 0) model->time_to_first_token.Observe(SecondsSinceStart());
}

void TurnMeter::TakeUsage(const GenerateUsage& usage) {
  ModelMetrics* const model = model_;
  if (model != nullptr && wants_usage_.exchange(false)) model->Add(usage, n_tokens_);
}

void TurnMeter::End(TurnOutcome outcome) {
  if (!is_open_.exchange(false)) return;
  ModelMetrics* const model = model_;
  if (model == nullptr) return;
  model->request_duration[static_cast<size_t>(outcome)].Observe(SecondsSinceStart());
}

}  // namespace forge
