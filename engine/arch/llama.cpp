#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Llama 1 to 3 and the many models converted under its name. Biases are rare but exist.
constexpr TransformerTraits kTraits = {
    .architecture = "llama", .rope_layout = RopeLayout::kInterleaved, .requires_qkv_bias = false};

Result<ModelConfig> ReadConfig(const GgufFile& file) {
  return ReadTransformerConfig(file, kTraits);
}

}  // namespace

Architecture LlamaArchitecture() {
  return {.name = kTraits.architecture, .read_config = ReadConfig, .tensors = TransformerTensors};
}

}  // namespace forge
