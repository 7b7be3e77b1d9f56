#pragma once

#include <prometheus/counter.h>

#include <array>
#include <string>

#include "daemon/telemetry/histogram.h"
#include "daemon/telemetry/metric_list.h"
#include "engine/runtime/engine.h"

namespace forge {

// How a turn ended.
enum class TurnOutcome { kCompleted, kCancelled, kFailed };
inline constexpr std::array<std::string_view, 3> kOutcomeNames = {"completed", "cancelled",
                                                                  "failed"};

// What is counted of the requests of one model. Lock-free: the executor counts here. Thread-safe.
struct ModelMetrics {
  explicit ModelMetrics(std::string label_text) : label(std::move(label_text)) {}

  // Counts what a request came to, of whose output `n_counted` tokens are counted already.
  void Add(const GenerateUsage& usage, uint32_t n_counted = 0);

  const std::string label;  // of `model`

  prometheus::Counter prompt_tokens, generation_tokens, drafted_tokens, accepted_tokens;
  Histogram time_to_first_token{kFirstTokenBounds};
  Histogram time_per_output_token{kTokenBounds};
  Histogram queue_time{kFirstTokenBounds};
  Histogram prefill_time{kFirstTokenBounds};
  Histogram decode_time{kRequestBounds};
  // By outcome.
  std::array<Histogram, kOutcomeNames.size()> request_duration = {
      Histogram(kRequestBounds), Histogram(kRequestBounds), Histogram(kRequestBounds)};
};

}  // namespace forge
