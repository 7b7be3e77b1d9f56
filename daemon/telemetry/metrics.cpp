#include "daemon/telemetry/metrics.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "daemon/text/utf8.h"

namespace forge {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

constexpr size_t kMaxLabelBytes = 256;

// Which of Metrics::kLoadResults an event is.
std::optional<size_t> ResultOf(ResidencyEvent::Kind kind) {
  using enum ResidencyEvent::Kind;
  if (kind == kLoaded) return 0;
  if (kind == kLoadFailed) return 1;
  if (kind == kLoadStopped) return 2;
  if (kind == kRefused) return 3;
  return std::nullopt;
}

void AddSample(MetricFamily& family, ClientMetric sample, std::vector<ClientMetric::Label> labels) {
  sample.label = std::move(labels);
  family.metric.push_back(std::move(sample));
}

// What `models` say of one metric of theirs.
template <typename Member>
MetricFamily FamilyOfModels(const MetricInfo& info, const std::vector<const ModelMetrics*>& models,
                            Member ModelMetrics::*member) {
  MetricFamily family = FamilyOf(info);
  for (const ModelMetrics* model : models)
    AddSample(family, (model->*member).Collect(), {{"model", model->label}});
  return family;
}

MetricFamily FamilyOfDurations(const std::vector<const ModelMetrics*>& models) {
  MetricFamily family = FamilyOf(kRequestDuration);
  for (const ModelMetrics* model : models)
    for (size_t i = 0; i < kOutcomeNames.size(); ++i)
      AddSample(family, model->request_duration[i].Collect(),
                {{"model", model->label}, {"outcome", std::string(kOutcomeNames[i])}});
  return family;
}

}  // namespace

std::string LabelOf(std::string_view name) {
  const std::string clean = SanitizeUtf8(name);
  std::string label(TruncateUtf8(clean, kMaxLabelBytes));
  std::ranges::replace_if(
      label, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }, '?');
  return label;
}

Metrics::Metrics(const std::vector<std::string>& reasons) {
  for (const std::string& reason : reasons) rejections_[reason];
  rejections_[std::string(kOther)];
}

ModelMetrics& Metrics::ForModel(const std::string& name) {
  const MutexLock lock(mutex_);
  return FindOrAdd(name);
}

ModelMetrics& Metrics::FindOrAdd(const std::string& name) {
  std::string label = LabelOf(name);
  if (models_.size() >= kMaxModels && !models_.contains(label)) label = kOther;
  const auto found = models_.find(label);
  if (found != models_.end()) return *found->second;
  // Made first: a label without counts must not stay behind where the memory ends.
  auto model = std::make_unique<ModelMetrics>(label);
  return *models_.emplace(std::move(label), std::move(model)).first->second;
}

void Metrics::Count(const ResidencyEvent& event) {
  if (const std::optional<size_t> result = ResultOf(event.kind)) loads_[*result].Increment();
  if (event.kind == ResidencyEvent::Kind::kLoaded) {
    if (event.duration) load_time_.Observe(std::chrono::duration<double>(*event.duration).count());
    const MutexLock lock(mutex_);
    residents_[event.model_id] = &FindOrAdd(event.model);
  }
  if (event.kind == ResidencyEvent::Kind::kUnloading) {
    if (event.cause) evictions_[static_cast<size_t>(*event.cause)].Increment();
    const MutexLock lock(mutex_);
    residents_.erase(event.model_id);
  }
}

void Metrics::CountRejection(std::string_view reason) {
  const auto found = rejections_.find(reason);
  (found != rejections_.end() ? found->second : rejections_.find(kOther)->second).Increment();
}

std::map<ModelId, std::string> Metrics::Residents() const {
  const MutexLock lock(mutex_);
  std::map<ModelId, std::string> residents;
  for (const auto& [id, model] : residents_) residents[id] = model->label;
  return residents;
}

std::vector<const ModelMetrics*> Metrics::Models() const {
  const MutexLock lock(mutex_);
  std::vector<const ModelMetrics*> models;
  for (const auto& [label, model] : models_) models.push_back(model.get());
  return models;
}

std::vector<MetricFamily> Metrics::Collect() const {
  const std::vector<const ModelMetrics*> models = Models();
  MetricFamily rejected = FamilyOf(kRejected);
  for (const auto& [reason, counter] : rejections_)
    AddSample(rejected, counter.Collect(), {{"reason", reason}});
  MetricFamily loads = FamilyOf(kModelLoads);
  for (size_t i = 0; i < kLoadResults.size(); ++i)
    AddSample(loads, loads_[i].Collect(), {{"result", std::string(kLoadResults[i])}});
  MetricFamily evictions = FamilyOf(kEvictions);
  for (size_t i = 0; i < kCauses; ++i) {
    const auto cause = static_cast<ResidencyAction::UnloadCause>(i);
    AddSample(evictions, evictions_[i].Collect(),
              {{"reason", std::string(UnloadCauseName(cause))}});
  }
  MetricFamily load_time = FamilyOf(kLoadTime);
  AddSample(load_time, load_time_.Collect(), {});
  return {
      std::move(rejected),
      FamilyOfModels(kPromptTokens, models, &ModelMetrics::prompt_tokens),
      FamilyOfModels(kGenerationTokens, models, &ModelMetrics::generation_tokens),
      FamilyOfModels(kDraftedTokens, models, &ModelMetrics::drafted_tokens),
      FamilyOfModels(kAcceptedTokens, models, &ModelMetrics::accepted_tokens),
      FamilyOfModels(kTimeToFirstToken, models, &ModelMetrics::time_to_first_token),
      FamilyOfModels(kTimePerOutputToken, models, &ModelMetrics::time_per_output_token),
      FamilyOfDurations(models),
      FamilyOfModels(kQueueTime, models, &ModelMetrics::queue_time),
      FamilyOfModels(kPrefillTime, models, &ModelMetrics::prefill_time),
      FamilyOfModels(kDecodeTime, models, &ModelMetrics::decode_time),
      std::move(loads),
      std::move(load_time),
      std::move(evictions),
  };
}

}  // namespace forge
