#include <optional>
#include <string>

#include "engine/arch/config_parts.h"

namespace forge {
namespace {

constexpr KeyReader::Range kExpertCount = {0, 1024};

// expert_gating_func in the file.
constexpr uint32_t kNotSaid = 0;

uint32_t NumberOf(ExpertGating gating) {
  switch (gating) {
    case ExpertGating::kSigmoid:
      return 2;
    case ExpertGating::kSoftmaxOfChosen:
      return 3;
    case ExpertGating::kSoftmaxOfAll:
      break;
  }
  return 1;
}

Result<ExpertGating> ReadGating(const KeyReader& keys, const ExpertTraits& traits) {
  constexpr std::string_view kName = "expert_gating_func";
  FORGE_ASSIGN_OR_RETURN(const uint32_t function, keys.OptionalOr(kName, kNotSaid, {0, 0xffff}));
  if (function == kNotSaid || function == NumberOf(traits.gating)) return traits.gating;
  if (!traits.chooses_gating)
    return UnsupportedField("the engine's router of this family knows the function " +
                                std::to_string(NumberOf(traits.gating)) + " only",
                            keys.Field(kName));
  for (const ExpertGating gating : {ExpertGating::kSoftmaxOfAll, ExpertGating::kSigmoid})
    if (function == NumberOf(gating)) return gating;
  return UnsupportedField("the engine's router of this family knows the functions 1 and 2 only",
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
  FORGE_ASSIGN_OR_RETURN(experts.gating, ReadGating(keys, traits));
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> normalizes, keys.Bool("expert_weights_norm"));
  experts.normalizes_weights = normalizes.value_or(traits.normalizes_weights);
  FORGE_ASSIGN_OR_RETURN(experts.weight_scale,
                         keys.PositiveUnlessZeroOr("expert_weights_scale", 1));
  return Status();
}

Status ReadGroups(const KeyReader& keys, ExpertConfig& experts) {
  constexpr std::string_view kCount = "expert_group_count", kUsed = "expert_group_used_count";
  constexpr uint32_t kMostGroups = 32;  // kMaxExpertGroups of the op
  FORGE_ASSIGN_OR_RETURN(const uint32_t count, keys.OptionalOr(kCount, 1, {0, kMostGroups}));
  if (count <= 1) return Status();
  const uint32_t size = experts.count / count;
  if (size < 2 || size * count != experts.count)
    return InvalidField("the groups are of equally many of the " + std::to_string(experts.count) +
                            " experts, two or more",
                        keys.Field(kCount));
  FORGE_ASSIGN_OR_RETURN(experts.n_groups_used, keys.Required(kUsed, {1, count}));
  if (experts.n_groups_used * size < experts.used)
    return InvalidField("a token's groups of " + std::to_string(size) + " experts have the " +
                            std::to_string(experts.used) + " that it uses",
                        keys.Field(kUsed));
  experts.n_groups = count;
  return Status();
}

}  // namespace

Status ReadExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config) {
  ExpertConfig& experts = config.experts;
  FORGE_ASSIGN_OR_RETURN(experts.count, keys.OptionalOr("expert_count", 0, kExpertCount));
  if (experts.count == 0) return Status();
  FORGE_ASSIGN_OR_RETURN(experts.used, keys.Required("expert_used_count", {1, experts.count}));
  FORGE_TRY(ReadLength(keys, traits, config));
  if (traits.may_have_groups) FORGE_TRY(ReadGroups(keys, experts));
  if (traits.may_begin_dense) {
    constexpr std::string_view kDense = "leading_dense_block_count";
    FORGE_ASSIGN_OR_RETURN(experts.n_dense_layers,
                           keys.OptionalOr(kDense, 0, {0, config.n_layers - 1}));
  }
  return ReadWeighting(keys, traits, experts);
}

Status RequireExperts(const KeyReader& keys, const ExpertTraits& traits, ModelConfig& config) {
  FORGE_TRY(keys.Required("expert_count", {1, kExpertCount.max}).status());
  return ReadExperts(keys, traits, config);
}

Status ReadSharedLength(const KeyReader& keys, ModelConfig& config) {
  config.experts.has_shared_gate = false;
  FORGE_ASSIGN_OR_RETURN(
      config.experts.n_shared_ff,
      keys.OptionalOr("expert_shared_feed_forward_length", 0, {0, kFeedForwardRange.max}));
  return Status();
}

Status ReadSharedCount(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kName = "expert_shared_count";
  config.experts.has_shared_gate = false;
  const uint32_t most = kFeedForwardRange.max / config.experts.n_ff;
  FORGE_ASSIGN_OR_RETURN(const uint32_t count, keys.OptionalOr(kName, 0, {0, most}));
  config.experts.n_shared_ff = count * config.experts.n_ff;
  return Status();
}

Status ReadGatedSharedLength(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kName = "expert_shared_feed_forward_length";
  FORGE_ASSIGN_OR_RETURN(config.experts.n_shared_ff,
                         keys.OptionalOr(kName, config.n_ff, kFeedForwardRange));
  if (config.experts.n_shared_ff != 0) return Status();
  return MissingField("without the key, feed_forward_length tells the shared expert's length",
                      keys.Key(kName));
}

Status ReadPredictionLayers(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.n_left_out_layers,
                         keys.OptionalOr("nextn_predict_layers", 0, {0, config.n_layers - 1}));
  config.n_layers -= config.n_left_out_layers;
  return Status();
}

}  // namespace forge
