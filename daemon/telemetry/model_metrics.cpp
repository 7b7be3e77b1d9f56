#include "daemon/telemetry/model_metrics.h"

#include <chrono>

namespace forge {
namespace {

double Seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void ModelMetrics::Add(const GenerateUsage& usage, uint32_t n_counted) {
  queue_time.Observe(Seconds(usage.queue_time));
  const bool has_started = usage.prefill_time.count() > 0;
  if (!has_started) return;  // it ended while it waited: nothing was read
  prompt_tokens.Increment(usage.prompt_tokens);
  prefill_time.Observe(Seconds(usage.prefill_time));
  if (usage.output_tokens == 0) return;
  if (usage.output_tokens > n_counted) generation_tokens.Increment(usage.output_tokens - n_counted);
  drafted_tokens.Increment(usage.drafted_tokens);
  accepted_tokens.Increment(usage.accepted_tokens);
  decode_time.Observe(Seconds(usage.decode_time));
  if (usage.output_tokens > 1)
    time_per_output_token.Observe(Seconds(usage.decode_time) / (usage.output_tokens - 1));
}

}  // namespace forge
