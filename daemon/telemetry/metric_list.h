#pragma once

#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include <array>
#include <span>
#include <string_view>

// What the metrics are called and mean. docs/metrics.md has a row for each of them, and no other.
namespace forge {

struct MetricInfo {
  std::string_view name;
  prometheus::MetricType type;
  std::string_view unit;    // "bytes"
  std::string_view labels;  // "model, outcome"; empty: it has none
  std::string_view help;    // one line
};

// ---- The daemon
inline constexpr MetricInfo kBuildInfo = {"forge_build_info", prometheus::MetricType::Gauge, "1",
                                          "version", "Always 1; the label tells the version."};
inline constexpr MetricInfo kStartTime = {"forge_start_time_seconds", prometheus::MetricType::Gauge,
                                          "seconds", "", "When the daemon started, since 1970."};
inline constexpr MetricInfo kRejected = {
    "forge_rejected_total", prometheus::MetricType::Counter, "calls", "reason",
    "Calls that ended with an error, by the reason in its ErrorInfo. Those whose client left "
    "are not counted."};

// ---- Requests: a turn of Generate, or a text of Embed or Score
inline constexpr MetricInfo kRequestsRunning = {"forge_requests_running",
                                                prometheus::MetricType::Gauge, "requests", "model",
                                                "Turns and texts that are computed now."};
inline constexpr MetricInfo kRequestsWaiting = {
    "forge_requests_waiting", prometheus::MetricType::Gauge, "requests", "model",
    "Turns and texts that wait for a sequence of a resident model."};
inline constexpr MetricInfo kPromptTokens = {"forge_prompt_tokens_total",
                                             prometheus::MetricType::Counter, "tokens", "model",
                                             "Tokens of prompts and texts that were read, those "
                                             "found in the KV cache included; counted when "
                                             "the request ends."};
inline constexpr MetricInfo kGenerationTokens = {
    "forge_generation_tokens_total", prometheus::MetricType::Counter, "tokens", "model",
    "Tokens that were generated; counted as they come."};
inline constexpr MetricInfo kDraftedTokens = {
    "forge_drafted_tokens_total", prometheus::MetricType::Counter, "tokens", "model",
    "Guesses that were computed beside the next token; counted when the turn ends."};
inline constexpr MetricInfo kAcceptedTokens = {
    "forge_accepted_tokens_total", prometheus::MetricType::Counter, "tokens", "model",
    "Guesses that were right; counted when the turn ends."};
inline constexpr MetricInfo kTimeToFirstToken = {
    "forge_time_to_first_token_seconds", prometheus::MetricType::Histogram, "seconds", "model",
    "From when a turn came to its first token, the wait for its model included."};
inline constexpr MetricInfo kTimePerOutputToken = {
    "forge_time_per_output_token_seconds", prometheus::MetricType::Histogram, "seconds", "model",
    "Of a turn with at least two tokens: the time after the first, for each further one."};
inline constexpr MetricInfo kRequestDuration = {
    "forge_request_duration_seconds", prometheus::MetricType::Histogram, "seconds",
    "model, outcome",
    "From when a turn came to its end; outcome is completed, cancelled or failed."};
inline constexpr MetricInfo kQueueTime = {
    "forge_queue_seconds", prometheus::MetricType::Histogram, "seconds", "model",
    "How long a turn or text waited for a sequence of the resident model."};
inline constexpr MetricInfo kPrefillTime = {"forge_prefill_seconds",
                                            prometheus::MetricType::Histogram, "seconds", "model",
                                            "How long reading the prompt or the text took."};
inline constexpr MetricInfo kDecodeTime = {
    "forge_decode_seconds", prometheus::MetricType::Histogram, "seconds", "model",
    "How long a turn took from its first token to its last."};
inline constexpr MetricInfo kKvUsage = {
    "forge_kv_usage_ratio", prometheus::MetricType::Gauge, "ratio", "model",
    "Share of the KV cache that sequences hold, conversations between two turns included; 1 is all "
    "of it."};

// ---- Models
inline constexpr MetricInfo kModelsResident = {
    "forge_models_resident", prometheus::MetricType::Gauge, "models", "", "Models that are ready."};
inline constexpr MetricInfo kModelLoads = {
    "forge_model_loads_total", prometheus::MetricType::Counter, "loads", "result",
    "Loads that ended, by result: loaded, failed, stopped (cancelled, or the daemon ended) or "
    "refused (before it began)."};
inline constexpr MetricInfo kLoadTime = {
    "forge_load_seconds", prometheus::MetricType::Histogram, "seconds", "",
    "How long loads took that ended with a ready model, without the wait for memory."};
inline constexpr MetricInfo kEvictions = {
    "forge_evictions_total", prometheus::MetricType::Counter, "models", "reason",
    "Models that had to go: evicted for another one, keep_alive was over, pressure of other "
    "programs, yield, or asked (somebody unloaded it by name)."};

// ---- Memory of a device
inline constexpr MetricInfo kMemoryTotal = {"forge_memory_total_bytes",
                                            prometheus::MetricType::Gauge, "bytes", "device",
                                            "Memory of the device."};
inline constexpr MetricInfo kMemoryFree = {"forge_memory_free_bytes", prometheus::MetricType::Gauge,
                                           "bytes", "device", "What is free of it."};
inline constexpr MetricInfo kMemoryOwn = {"forge_memory_own_bytes", prometheus::MetricType::Gauge,
                                          "bytes", "device", "What models have allocated of it."};
inline constexpr MetricInfo kMemoryForeign = {
    "forge_memory_foreign_bytes", prometheus::MetricType::Gauge, "bytes", "device",
    "What everything else uses of it: total less free less own."};
inline constexpr MetricInfo kMemoryReserved = {
    "forge_memory_reserved_bytes", prometheus::MetricType::Gauge, "bytes", "device",
    "What is promised to models, those that are being loaded included."};
inline constexpr MetricInfo kMemoryBudget = {
    "forge_memory_budget_bytes", prometheus::MetricType::Gauge, "bytes", "device",
    "Most that may be promised to models together, as things are: reserved and what would still be "
    "admitted."};
inline constexpr MetricInfo kLedgerDrift = {
    "forge_ledger_drift_bytes", prometheus::MetricType::Gauge, "bytes", "device",
    "What the system counts as the daemon's memory on the device less own; only where the system "
    "tells."};

// All of them, in the order of the page.
std::span<const MetricInfo* const> MetricList();

// A family of `info` without samples.
prometheus::MetricFamily FamilyOf(const MetricInfo& info);

// ---- Bounds of histograms, in seconds
// Those of OpenTelemetry's gen_ai.server.* metrics (semantic-conventions, docs/gen-ai), with three
// finer ones for tokens.
inline constexpr std::array kFirstTokenBounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                                 0.25,  0.5,   0.75, 1.0,  2.5,  5.0,  7.5,  10.0};
inline constexpr std::array kTokenBounds = {0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                            0.15,  0.2,   0.3,   0.4,  0.5,   0.75, 1.0,   2.5};
inline constexpr std::array kRequestBounds = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                              1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
inline constexpr std::array kLoadBounds = {0.1,  0.25, 0.5,  1.0,   2.5,  5.0,
                                           10.0, 25.0, 50.0, 100.0, 250.0};

}  // namespace forge
