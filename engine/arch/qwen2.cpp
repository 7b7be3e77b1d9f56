#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Qwen 2 and 2.5: as llama, but with rotary pairs half a head apart and biases on Q, K and V.
constexpr TransformerTraits kTraits = {.architecture = "qwen2", .requires_qkv_bias = true};

Status ReadVision(const KeyReader& keys, ModelConfig&) { return ReadRopeSections(keys); }

// The text part of Qwen 2 VL and 2.5 VL.
constexpr TransformerTraits kVision = {
    .architecture = "qwen2vl", .requires_qkv_bias = true, .read_more = ReadVision};

}  // namespace

Architecture Qwen2Architecture() { return TransformerFamily<kTraits>(); }

Architecture Qwen2VlArchitecture() { return TransformerFamily<kVision>(); }

}  // namespace forge
