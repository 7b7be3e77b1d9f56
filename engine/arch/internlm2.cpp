#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Shanghai AI Laboratory's InternLM 2 and 2.5: Llama's blocks under a name of their own. InternLM 3
// is converted as Llama.
constexpr TransformerTraits kTraits = {.architecture = "internlm2",
                                       .rope_layout = RopeLayout::kInterleaved};

}  // namespace

Architecture InternLm2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
