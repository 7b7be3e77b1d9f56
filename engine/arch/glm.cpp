#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// ChatGLM 3 and GLM 4 9B: half of each head is rotated, QKV is one tensor with a bias, and so are
// gate and up.
constexpr TransformerTraits kChatGlm = {
    .architecture = "chatglm", .rope_layout = RopeLayout::kInterleaved, .has_fused_gate_up = true};
// GLM 4 of 2025: norms of what attention and feed-forward add.
constexpr TransformerTraits kGlm4 = {.architecture = "glm4",
                                     .rope_layout = RopeLayout::kInterleaved,
                                     .has_post_norms = true,
                                     .has_fused_gate_up = true};

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSigmoid,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false,
                                   .chooses_gating = true,
                                   .may_begin_dense = true};

Status ReadMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadPredictionLayers(keys, config));
  // Those that see have sections.
  if (keys.Has("rope.dimension_sections")) FORGE_TRY(ReadRopeSections(keys));
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  config.experts.has_selection_bias = true;
  return ReadSharedCount(keys, config);
}

// GLM 4.5 to 4.7: sigmoids choose experts, the norm before the feed-forward net is named after the
// attention it follows, and the larger ones have norms of queries and keys.
constexpr TransformerTraits kGlm4Moe = {.architecture = "glm4moe",
                                        .qk_norm = QkNorm::kHead,
                                        .may_lack_qk_norm = true,
                                        .read_more = ReadMoe};

}  // namespace

Architecture ChatGlmArchitecture() { return TransformerFamily<kChatGlm>(); }
Architecture Glm4Architecture() { return TransformerFamily<kGlm4>(); }
Architecture Glm4MoeArchitecture() {
  Architecture family = TransformerFamily<kGlm4Moe>();
  family.tensors = TensorsWithFfnNormAsPostAttention;
  return family;
}

}  // namespace forge
