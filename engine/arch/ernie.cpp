#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Baidu's ERNIE 4.5, the text models.
namespace forge {
namespace {

// The weights of the chosen add up to one, whatever chose them.
constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false,
                                   .may_begin_dense = true};

Status ReadMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadSharedLength(keys, config);
}

// The dense models differ from Llama in nothing but their name.
constexpr TransformerTraits kDense = {.architecture = "ernie4_5",
                                      .rope_layout = RopeLayout::kInterleaved};
constexpr TransformerTraits kMoe = {.architecture = "ernie4_5-moe",
                                    .rope_layout = RopeLayout::kInterleaved,
                                    .may_have_selection_bias = true,
                                    .read_more = ReadMoe};

}  // namespace

Architecture Ernie45Architecture() { return TransformerFamily<kDense>(); }
Architecture Ernie45MoeArchitecture() { return TransformerFamily<kMoe>(); }

}  // namespace forge
