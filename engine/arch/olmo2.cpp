#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// OLMo 3 has a window over three layers of four, which are rotated without scaling.
Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadWindowPatternIfAny(keys, 4, config));
  if (config.window == 0) return Status();
  RopeConfig local = {.layout = config.rope.layout, .dimension = config.rope.dimension};
  FORGE_ASSIGN_OR_RETURN(local.base, keys.PositiveOr("rope.freq_base_swa", config.rope.base));
  config.window_rope = local;
  return Status();
}

// Ai2's OLMo 2 and 3: norms of what a block adds and none of what it takes, and of queries and keys
// over all heads.
constexpr TransformerTraits kTraits = {.architecture = "olmo2",
                                       .qk_norm = QkNorm::kProjection,
                                       .has_pre_norms = false,
                                       .has_post_norms = true,
                                       .read_more = ReadMore};

}  // namespace

Architecture Olmo2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
