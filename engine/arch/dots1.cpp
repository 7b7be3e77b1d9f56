#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSigmoid,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false,
                                   .chooses_gating = true,
                                   .may_begin_dense = true};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadSharedCount(keys, config);
}

// rednote's dots.llm1: Qwen 3's attention; sigmoids choose experts.
constexpr TransformerTraits kTraits = {.architecture = "dots1",
                                       .qk_norm = QkNorm::kHead,
                                       .may_have_selection_bias = true,
                                       .read_more = ReadMore};

}  // namespace

Architecture Dots1Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
