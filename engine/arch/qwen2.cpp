#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Qwen 2 and 2.5: as llama, but with rotary pairs half a head apart and biases on Q, K and V.
constexpr TransformerTraits kTraits = {.architecture = "qwen2", .requires_qkv_bias = true};

}  // namespace

Architecture Qwen2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
