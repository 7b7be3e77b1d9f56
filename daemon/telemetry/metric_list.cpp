#include "daemon/telemetry/metric_list.h"

#include <string>

namespace forge {
namespace {

constexpr const MetricInfo* kMetricList[] = {
    &kBuildInfo,       &kStartTime,        &kRejected,           &kRequestsRunning,
    &kRequestsWaiting, &kPromptTokens,     &kGenerationTokens,   &kDraftedTokens,
    &kAcceptedTokens,  &kTimeToFirstToken, &kTimePerOutputToken, &kRequestDuration,
    &kQueueTime,       &kPrefillTime,      &kDecodeTime,         &kKvUsage,
    &kModelsResident,  &kModelLoads,       &kLoadTime,           &kEvictions,
    &kMemoryTotal,     &kMemoryFree,       &kMemoryOwn,          &kMemoryForeign,
    &kMemoryReserved,  &kMemoryBudget,     &kLedgerDrift,
};

}  // namespace

std::span<const MetricInfo* const> MetricList() { return kMetricList; }

prometheus::MetricFamily FamilyOf(const MetricInfo& info) {
  return {std::string(info.name), std::string(info.help), info.type, {}};
}

}  // namespace forge
