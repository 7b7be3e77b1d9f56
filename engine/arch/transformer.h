#pragma once

#include <string_view>
#include <vector>

#include "engine/arch/architecture.h"
#include "engine/arch/config_parts.h"
#include "engine/arch/key_reader.h"
#include "engine/arch/model_config.h"
#include "engine/gguf/gguf_file.h"
#include "kernels/base/result.h"

// What the families of plain decoder-only transformers have in common: norms, rotary embedding,
// grouped-query attention and a feed-forward net, under the same key and tensor names.
namespace forge {

// In what a family differs from the others.
struct TransformerTraits {
  std::string_view architecture;
  RopeLayout rope_layout = RopeLayout::kHalves;
  NormKind norm = NormKind::kRms;  // a layer norm has a bias where the file does
  bool has_layer_norm_epsilon =
      false;  // by the name of its key, though norms are of the other kind
  BlockOrder order = BlockOrder::kSequential;
  GateActivation activation = GateActivation::kSilu;
  bool requires_qkv_bias = false;  // else: has it where the file does
  QkNorm qk_norm = QkNorm::kNone;
  bool may_lack_qk_norm = false;  // has it where the file does
  bool turns_before_norm = false;
  bool may_have_selection_bias = false;  // the same; else: what read_more says
  bool has_pre_norms = true;
  bool has_post_norms = false;
  bool has_gate = true;
  bool has_fused_gate_up = false;
  bool has_logit_bias = false;
  // Where attention.head_count_kv has numbers of all layers, those of 0 KV heads are recurrent.
  bool has_recurrent_layers = false;
  // Layers differ in KV heads and in their nets' lengths, of which read_more reads the keys.
  bool layers_differ = false;
  bool is_encoder = false;  // with norms of sums in place of others, as BERT's
  LongRope long_rope = LongRope::kNever;
  // Reads what else the family has, once shape and rotary embedding are known. May be null.
  Status (*read_more)(const KeyReader& keys, ModelConfig& config) = nullptr;
  // What the tensors that are there tell of this family alone. May be null.
  void (*read_tensors)(const GgufFile& file, ModelConfig& config) = nullptr;
};

// Whether the tensor of this name is in any layer of the model.
bool AnyLayerHas(const GgufFile& file, const ModelConfig& config, std::string_view suffix);

// Reads and checks the configuration. Errors as Architecture::read_config.
Result<ModelConfig> ReadTransformerConfig(const GgufFile& file, const TransformerTraits& traits);

// The weights that a model of this configuration has, layer by layer.
std::vector<TensorSpec> TransformerTensors(const ModelConfig& config);

// The same for families whose files name the norm before the feed-forward net otherwise.
std::vector<TensorSpec> TensorsWithFfnNormNamed(std::string_view name, const ModelConfig& config);
// The same for those that name it after the attention that it follows.
std::vector<TensorSpec> TensorsWithFfnNormAsPostAttention(const ModelConfig& config);

// A family that its traits describe.
template <const TransformerTraits& kTraits>
Architecture TransformerFamily() {
  return {.name = kTraits.architecture,
          .read_config = [](const GgufFile& file) { return ReadTransformerConfig(file, kTraits); },
          .tensors = TransformerTensors};
}

// Name of a layer's tensor: "blk.3.attn_q.weight".
std::string LayerTensorName(uint32_t layer, std::string_view suffix);

}  // namespace forge
