#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadSharedCount(keys, config);
}

constexpr ExpertTraits kExperts2 = {.gating = ExpertGating::kSigmoid,
                                    .normalizes_weights = false,
                                    .shares_feed_forward_length = false,
                                    .chooses_gating = true,
                                    .may_have_groups = true,
                                    .may_begin_dense = true};

Status ReadMore2(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadPredictionLayers(keys, config));
  FORGE_TRY(RequireExperts(keys, kExperts2, config));
  FORGE_TRY(ReadSharedLength(keys, config));
  ExpertConfig& experts = config.experts;
  const uint32_t length = experts.n_shared_ff != 0 ? experts.n_shared_ff : experts.n_ff;
  FORGE_ASSIGN_OR_RETURN(
      const uint32_t count,
      keys.OptionalOr("expert_shared_count", 0, {0, kFeedForwardRange.max / length}));
  experts.n_shared_ff = count * length;
  return Status();
}

// inclusionAI's Ling of 2025: Llama's attention and many small experts.
constexpr TransformerTraits kTraits = {
    .architecture = "bailingmoe", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadMore};
// Ling and Ring 2.0: norms of heads, half of which is rotated; sigmoids choose experts from the
// best of their groups.
constexpr TransformerTraits kTraits2 = {.architecture = "bailingmoe2",
                                        .qk_norm = QkNorm::kHead,
                                        .may_have_selection_bias = true,
                                        .read_more = ReadMore2};

}  // namespace

Architecture BailingMoeArchitecture() { return TransformerFamily<kTraits>(); }
Architecture BailingMoe2Architecture() { return TransformerFamily<kTraits2>(); }

}  // namespace forge
