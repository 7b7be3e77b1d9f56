#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// BigCode's StarCoder 2: layer norms, biases everywhere, a feed-forward net without a gate. Its
// window is over all layers; converters leave it out.
constexpr TransformerTraits kTraits = {.architecture = "starcoder2",
                                       .norm = NormKind::kLayer,
                                       .activation = GateActivation::kGelu,
                                       .has_gate = false,
                                       .read_more = ReadWindowOfAllLayers};

}  // namespace

Architecture StarCoder2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
