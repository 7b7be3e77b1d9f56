#include "daemon/residency/load_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace forge {
namespace {

// Collects the options that differ, as text for the message and as details.
class Differences {
 public:
  template <typename T>
  void Compare(std::string_view name, std::string_view detail, const std::optional<T>& asked,
               const T& actual) {
    if (asked && *asked != actual) Add(name, detail, *asked, actual);
  }
  void Compare(const std::optional<KvDType>& asked, KvDType actual) {
    if (asked && *asked != actual) {
      Add("kv_cache_type", "KvCacheType", KvDTypeName(*asked), KvDTypeName(actual));
    }
  }

  bool empty() const { return texts_.empty(); }
  std::string text() const { return fmt::format("{}", fmt::join(texts_, ", ")); }
  Status AddTo(Status status) const {
    for (const auto& [key, value] : details_) status = status.WithDetail(key, value);
    return status;
  }

 private:
  template <typename A, typename B>
  void Add(std::string_view name, std::string_view detail, const A& asked, const B& actual) {
    texts_.push_back(fmt::format("{} {} instead of {}", name, actual, asked));
    details_.emplace_back(fmt::format("resident{}", detail), fmt::format("{}", actual));
    details_.emplace_back(fmt::format("requested{}", detail), fmt::format("{}", asked));
  }

  std::vector<std::string> texts_;
  Status::Details details_;
};

const std::string& FieldOf(const std::pair<std::string, std::string>& detail) {
  return detail.first;
}

}  // namespace

Status BlameDefaults(const Status& status, const LoadRequest& request) {
  const auto field = std::ranges::find(status.details(), "field", &FieldOf);
  if (field == status.details().end()) return status;
  const std::string& name = field->second;
  const bool is_default = (name == "context_length" && !request.context_length) ||
                          (name == "max_sequences" && !request.max_sequences) ||
                          (name == "prefill_chunk" && !request.prefill_chunk) ||
                          (name == "kv_cache_type" && !request.kv_dtype);
  if (!is_default) return status;
  Status blaming(status.code(), fmt::format("{}; the value is that of defaults.{} in the "
                                            "configuration",
                                            status.message(), name));
  blaming = blaming.WithReason(status.reason());
  for (const auto& [key, value] : status.details()) blaming = blaming.WithDetail(key, value);
  return blaming.WithDetail("configurationKey", "defaults." + name);
}

ResolvedLoadOptions ResolveLoadOptions(const LoadRequest& request,
                                       const ResolvedLoadOptions& defaults) {
  const LoadOptions& options = defaults.options;
  ResolvedLoadOptions resolved{request.device.value_or(defaults.device), options};
  resolved.options.context_length = request.context_length.value_or(options.context_length);
  resolved.options.max_sequences = request.max_sequences.value_or(options.max_sequences);
  resolved.options.prefill_chunk = request.prefill_chunk.value_or(options.prefill_chunk);
  resolved.options.kv_dtype = request.kv_dtype.value_or(options.kv_dtype);
  return resolved;
}

ResolvedLoadOptions OptionsInEffect(const ModelFileInfo& info) {
  return {info.device,
          {info.context_length, info.max_sequences, info.prefill_chunk, info.kv_dtype}};
}

Status CheckSameOptions(const std::string& name, std::string_view state, const LoadRequest& request,
                        const ResolvedLoadOptions& actual) {
  Differences differences;
  if (request.device != kAutoDevice)
    differences.Compare("device", "Device", request.device, actual.device);
  differences.Compare("context_length", "ContextLength", request.context_length,
                      actual.options.context_length);
  differences.Compare("max_sequences", "MaxSequences", request.max_sequences,
                      actual.options.max_sequences);
  differences.Compare("prefill_chunk", "PrefillChunk", request.prefill_chunk,
                      actual.options.prefill_chunk);
  differences.Compare(request.kv_dtype, actual.options.kv_dtype);
  if (differences.empty()) return Status();
  return differences.AddTo(
      FailedPrecondition(fmt::format("model '{}' is {} with {}; unload it first to load it anew",
                                     name, state, differences.text()))
          .WithReason("MODEL_OPTIONS_DIFFER")
          .WithDetail("model", name));
}

}  // namespace forge
