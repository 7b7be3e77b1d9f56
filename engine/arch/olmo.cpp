#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false};

Status ReadOlmoe(const KeyReader& keys, ModelConfig& config) {
  return RequireExperts(keys, kExperts, config);
}

// OLMo 3 has a window over three layers of four, which are rotated without scaling.
Status ReadOlmo2(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadWindowPatternIfAny(keys, 4, config));
  if (config.window == 0) return Status();
  RopeConfig local = {.layout = config.rope.layout, .dimension = config.rope.dimension};
  FORGE_ASSIGN_OR_RETURN(local.base, keys.PositiveOr("rope.freq_base_swa", config.rope.base));
  config.window_rope = local;
  return Status();
}

// Ai2's OLMo 2 and 3: norms of what a block adds and none of what it takes, and of queries and keys
// over all heads.
constexpr TransformerTraits kOlmo2 = {.architecture = "olmo2",
                                      .qk_norm = QkNorm::kProjection,
                                      .has_pre_norms = false,
                                      .has_post_norms = true,
                                      .read_more = ReadOlmo2};

// OLMoE: the same norms of queries and keys in blocks as Llama's, and experts that keep their
// share.
constexpr TransformerTraits kOlmoe = {
    .architecture = "olmoe", .qk_norm = QkNorm::kProjection, .read_more = ReadOlmoe};

}  // namespace

Architecture Olmo2Architecture() { return TransformerFamily<kOlmo2>(); }
Architecture OlmoeArchitecture() { return TransformerFamily<kOlmoe>(); }

}  // namespace forge
