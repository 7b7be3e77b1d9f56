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

// inclusionAI's Ling of 2025: Llama's attention and many small experts.
constexpr TransformerTraits kTraits = {.architecture = "bailingmoe",
                                       .rope_layout = RopeLayout::kInterleaved,
                                       .read_more = ReadMore};

}  // namespace

Architecture BailingMoeArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
