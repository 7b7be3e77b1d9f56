#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// The 32B models of EXAONE 4 have a window over three layers of four; the others see everything and
// know no positions.
Status ReadExaone4(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadWindowPatternIfAny(keys, 4, config));
  if (config.window == 0) return Status();
  config.unrotated = config.windowed;
  config.unrotated.flip();
  return Status();
}

// LG's EXAONE 3 and 3.5: Llama's blocks with rotary pairs half a head apart.
constexpr TransformerTraits kExaone = {.architecture = "exaone"};
// EXAONE 4: norms of what a block adds and none of what it takes, and of each head's queries
// and keys.
constexpr TransformerTraits kExaone4 = {.architecture = "exaone4",
                                        .qk_norm = QkNorm::kHead,
                                        .has_pre_norms = false,
                                        .has_post_norms = true,
                                        .read_more = ReadExaone4};

}  // namespace

Architecture ExaoneArchitecture() { return TransformerFamily<kExaone>(); }
Architecture Exaone4Architecture() { return TransformerFamily<kExaone4>(); }

}  // namespace forge
