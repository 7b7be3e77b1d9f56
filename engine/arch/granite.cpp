#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// IBM's Granite 3 and 4: Llama's blocks with a scale on embeddings, on
// attention, on what a block adds and on the logits.
namespace forge {
namespace {

// Of the chosen logits alone, which is the softmax over all divided by the sum of the chosen.
constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false};

Status ReadScales(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.embedding_scale, ReadScale(keys, "embedding_scale", 1));
  FORGE_ASSIGN_OR_RETURN(config.residual_scale, ReadScale(keys, "residual_scale", 1));
  FORGE_ASSIGN_OR_RETURN(config.attention_scale,
                         ReadScale(keys, "attention.scale", config.attention_scale));
  FORGE_TRY(keys.RequiredPositive("logit_scale").status());
  FORGE_ASSIGN_OR_RETURN(const double divisor, ReadScale(keys, "logit_scale", 1));
  config.logit_scale = 1.0 / divisor;
  return Status();
}

Status ReadGranite(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadScales(keys, config));
  // The converter's switch for models without positions, whatever the key's name says.
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> rotates, keys.Bool("rope.scaling.finetuned"));
  if (!rotates.value_or(true)) config.unrotated.assign(config.n_layers, true);
  return Status();
}

Status ReadGraniteMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadGranite(keys, config));
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadSharedLength(keys, config);
}

// The feed-forward net or the experts of `granite` and `granitemoe`.
Status ReadHybrid(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadGranite(keys, config));
  FORGE_TRY(ReadStateSpace(keys, config));
  FORGE_TRY(ReadExperts(keys, kExperts, config));
  return config.experts.count != 0 ? ReadSharedLength(keys, config) : Status();
}

constexpr TransformerTraits kGranite = {
    .architecture = "granite", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadGranite};
constexpr TransformerTraits kGraniteMoe = {.architecture = "granitemoe",
                                           .rope_layout = RopeLayout::kInterleaved,
                                           .read_more = ReadGraniteMoe};
// Granite 4 H: Mamba 2's state space in most layers.
constexpr TransformerTraits kGraniteHybrid = {.architecture = "granitehybrid",
                                              .rope_layout = RopeLayout::kInterleaved,
                                              .has_recurrent_layers = true,
                                              .read_more = ReadHybrid};

}  // namespace

Architecture GraniteArchitecture() { return TransformerFamily<kGranite>(); }
Architecture GraniteHybridArchitecture() { return TransformerFamily<kGraniteHybrid>(); }
Architecture GraniteMoeArchitecture() { return TransformerFamily<kGraniteMoe>(); }

}  // namespace forge
