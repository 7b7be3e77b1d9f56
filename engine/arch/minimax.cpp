#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSigmoid,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false,
                                   .chooses_gating = true};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  config.experts.has_selection_bias = true;
  return Status();
}

// MiniMax M2: norms of queries and keys over all heads, half of each head is rotated, and sigmoids
// choose experts.
constexpr TransformerTraits kTraits = {
    .architecture = "minimax-m2", .qk_norm = QkNorm::kProjection, .read_more = ReadMore};

}  // namespace

Architecture MiniMaxM2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
