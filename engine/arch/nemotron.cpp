#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// NVIDIA's Nemotron 4 and Minitron: layer norms, whose weights have had their 1 added by the
// converter, partial rotation, and a feed-forward net without a gate.
constexpr TransformerTraits kTraits = {.architecture = "nemotron",
                                       .norm = NormKind::kLayer,
                                       .activation = GateActivation::kReluSquared,
                                       .has_gate = false};

}  // namespace

Architecture NemotronArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
