#include "daemon/telemetry/metrics_page.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <utility>

namespace forge {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

// Families of gauges in the order in which they are first named.
class Gauges {
 public:
  // A family may be without samples.
  void AddFamily(const MetricInfo& info) { families_.push_back(FamilyOf(info)); }
  // REQUIRES: the family was added.
  void Add(const MetricInfo& info, double value, std::vector<ClientMetric::Label> labels = {}) {
    ClientMetric sample;
    sample.gauge.value = value;
    sample.label = std::move(labels);
    std::ranges::find(families_, info.name, &MetricFamily::name)
        ->metric.push_back(std::move(sample));
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

void AddDaemon(const DaemonInfo& info, Gauges& gauges) {
  gauges.Add(kBuildInfo, 1.0, {{"version", info.version}});
  gauges.Add(kStartTime, std::chrono::duration<double>(info.start_time.time_since_epoch()).count());
}

void AddModels(const std::map<ModelId, std::string>& residents, const Engine& engine,
               Gauges& gauges) {
  gauges.Add(kModelsResident, static_cast<double>(residents.size()));
  std::map<std::string, ModelActivity> by_label;
  for (const ModelActivity& activity : engine.Activity()) {
    const auto resident = residents.find(activity.id);
    if (resident == residents.end()) continue;  // on its way in or out
    ModelActivity& all = by_label[resident->second];
    all.running += activity.running;
    all.waiting += activity.waiting;
    all.kv_usage = std::max(all.kv_usage, activity.kv_usage);
  }
  for (const auto& [label, activity] : by_label) {
    gauges.Add(kRequestsRunning, activity.running, {{"model", label}});
    gauges.Add(kRequestsWaiting, activity.waiting, {{"model", label}});
    gauges.Add(kKvUsage, activity.kv_usage, {{"model", label}});
  }
}

void AddMemory(const DeviceMemory& memory, Gauges& gauges) {
  const auto add = [&](const MetricInfo& info, uint64_t bytes) {
    gauges.Add(info, static_cast<double>(bytes), {{"device", LabelOf(memory.device)}});
  };
  add(kMemoryOwn, memory.allocated_bytes);
  add(kMemoryReserved, memory.reserved_bytes);
  const MemoryReading& reading = memory.reading;
  if (reading.total_bytes == 0) return;  // it cannot be read
  add(kMemoryTotal, reading.total_bytes);
  add(kMemoryFree, reading.free_bytes);
  const uint64_t known = reading.free_bytes + memory.allocated_bytes;
  add(kMemoryForeign, reading.total_bytes - std::min(reading.total_bytes, known));
  add(kMemoryBudget, memory.reserved_bytes + memory.available_bytes);
  if (!reading.process_bytes) return;
  const double drift =
      static_cast<double>(*reading.process_bytes) - static_cast<double>(memory.allocated_bytes);
  gauges.Add(kLedgerDrift, drift, {{"device", LabelOf(memory.device)}});
}

}  // namespace

std::string RenderMetrics(const Metrics& metrics, const Engine& engine, const DaemonInfo& info) {
  std::vector<MetricFamily> families = metrics.Collect();
  Gauges gauges;
  for (const MetricInfo* metric : MetricList())
    if (metric->type == prometheus::MetricType::Gauge) gauges.AddFamily(*metric);
  AddDaemon(info, gauges);
  AddModels(metrics.Residents(), engine, gauges);
  for (const DeviceMemory& memory : engine.Memory()) AddMemory(memory, gauges);
  for (MetricFamily& family : gauges.Take()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace forge
