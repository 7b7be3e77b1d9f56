#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kMultiplier = "rope.scaling.yarn_log_multiplier";
  FORGE_ASSIGN_OR_RETURN(config.rope.yarn_log_multiplier,
                         keys.PositiveUnlessZeroOr(kMultiplier, 0));
  FORGE_ASSIGN_OR_RETURN(config.query_growth.scale,
                         keys.PositiveUnlessZeroOr("attention.temperature_scale", 0));
  FORGE_ASSIGN_OR_RETURN(config.query_growth.period,
                         keys.OptionalOr("rope.scaling.original_context_length",
                                         config.n_context_train, kContextRange));
  return ReadExperts(keys, kExperts, config);
}

// Mistral Small 3 and Ministral 3: Llama's blocks, YaRN that does not magnify, and queries that
// grow beyond the original context.
constexpr TransformerTraits kTraits = {
    .architecture = "mistral3", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadMore};

}  // namespace

Architecture Mistral3Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
