#pragma once

#include <string_view>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/arch/model_config.h"
#include "engine/gguf/gguf_file.h"
#include "kernels/base/result.h"

// What the families of plain decoder-only transformers have in common: RMS norms, rotary
// embedding, grouped-query attention and a gated feed-forward net, under the same key and tensor
// names.
namespace forge {

// In what a family differs from the others.
struct TransformerTraits {
  std::string_view architecture;
  RopeLayout rope_layout;
  bool requires_qkv_bias;  // else: has it where the file does
};

// Reads and checks the configuration. Errors as Architecture::read_config.
Result<ModelConfig> ReadTransformerConfig(const GgufFile& file, const TransformerTraits& traits);

// The weights that a model of this configuration has, layer by layer.
std::vector<TensorSpec> TransformerTensors(const ModelConfig& config);

// Name of a layer's tensor: "blk.3.attn_q.weight".
std::string LayerTensorName(uint32_t layer, std::string_view suffix);

}  // namespace forge
