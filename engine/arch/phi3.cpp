#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Phi 3, 3.5 and 4 mini: fused QKV, fused gate and up, and for contexts beyond the original one
// frequency divisors of their own.
constexpr TransformerTraits kTraits = {.architecture = "phi3",
                                       .has_fused_gate_up = true,
                                       .long_rope = LongRope::kUnlessNamed,
                                       .read_more = ReadWindowOfAllLayers};

}  // namespace

Architecture Phi3Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
