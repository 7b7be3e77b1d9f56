#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Arcee's AFM: Llama's attention, and a feed-forward net without a gate.
constexpr TransformerTraits kTraits = {.architecture = "arcee",
                                       .rope_layout = RopeLayout::kInterleaved,
                                       .activation = GateActivation::kReluSquared,
                                       .has_gate = false};

}  // namespace

Architecture ArceeArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
