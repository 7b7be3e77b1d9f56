#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Microsoft's Phi 1, 1.5 and 2: layer norms and biases everywhere, of the logits too, partial
// rotation, and blocks whose attention and feed-forward net take the same norm.
constexpr TransformerTraits kTraits = {.architecture = "phi2",
                                       .norm = NormKind::kLayer,
                                       .order = BlockOrder::kParallelOneNorm,
                                       .activation = GateActivation::kGelu,
                                       .has_gate = false,
                                       .has_logit_bias = true};

}  // namespace

Architecture Phi2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
