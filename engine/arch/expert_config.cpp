#include <optional>
#include <string>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

constexpr KeyReader::Range kExpertCount = {0, 1024};

// expert_gating_func in the file.
constexpr uint32_t kNotSaid = 0, kSoftmax = 1, kSoftmaxOfChosen = 3;

Status CheckGating(const KeyReader& keys, ExpertGating gating) {
  constexpr std::string_view kName = "expert_gating_func";
  FORGE_ASSIGN_OR_RETURN(const uint32_t function, keys.OptionalOr(kName, kNotSaid, {0, 0xffff}));
  const uint32_t own = gating == ExpertGating::kSoftmaxOfAll ? kSoftmax : kSoftmaxOfChosen;
  if (function == kNotSaid || function == own) return Status();
  return UnsupportedField(
      "the engine's router of this family knows the function " + std::to_string(own) + " only",
      keys.Field(kName));
}

Status ReadLength(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config) {
  constexpr std::string_view kName = "expert_feed_forward_length";
  ExpertConfig& experts = config.experts;
  const uint32_t fallback =
      traits.shares_feed_forward_length ? config.n_ff / experts.used : config.n_ff;
  FORGE_ASSIGN_OR_RETURN(experts.n_ff, keys.OptionalOr(kName, fallback, kFeedForwardRange));
  if (experts.n_ff != 0) return Status();
  return MissingField(
      "without the key, feed_forward_length tells the length of an expert, and it "
      "is absent or too small",
      keys.Key(kName));
}

Status ReadWeighting(const KeyReader& keys, const ExpertTraits& traits, ExpertConfig& experts) {
  experts.gating = traits.gating;
  FORGE_TRY(CheckGating(keys, traits.gating));
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> normalizes, keys.Bool("expert_weights_norm"));
  experts.normalizes_weights = normalizes.value_or(traits.normalizes_weights);
  FORGE_ASSIGN_OR_RETURN(experts.weight_scale,
                         keys.PositiveUnlessZeroOr("expert_weights_scale", 1));
  return Status();
}

}  // namespace

Status ReadExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config) {
  ExpertConfig& experts = config.experts;
  FORGE_ASSIGN_OR_RETURN(experts.count, keys.OptionalOr("expert_count", 0, kExpertCount));
  if (experts.count == 0) return Status();
  FORGE_ASSIGN_OR_RETURN(experts.used, keys.Required("expert_used_count", {1, experts.count}));
  FORGE_TRY(ReadLength(keys, traits, config));
  return ReadWeighting(keys, traits, experts);
}

Status RequireExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config) {
  FORGE_TRY(keys.Required("expert_count", {1, kExpertCount.max}).status());
  return ReadExperts(keys, traits, config);
}

}  // namespace forge
