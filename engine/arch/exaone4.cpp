#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// The 32B models have a window over three layers of four; the others see everything and know no
// positions.
Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadWindowPatternIfAny(keys, 4, config));
  if (config.window == 0) return Status();
  config.unrotated = config.windowed;
  config.unrotated.flip();
  return Status();
}

// LG's EXAONE 4: norms of what a block adds and none of what it takes, and of each head's queries
// and keys.
constexpr TransformerTraits kTraits = {.architecture = "exaone4",
                                       .qk_norm = QkNorm::kHead,
                                       .has_pre_norms = false,
                                       .has_post_norms = true,
                                       .read_more = ReadMore};

}  // namespace

Architecture Exaone4Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
