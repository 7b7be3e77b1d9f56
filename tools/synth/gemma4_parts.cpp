#include "tools/synth/gemma4_parts.h"

#include <algorithm>
#include <vector>

namespace forge {

// llama-quantize leaves the projection as it was.
Status AddLayerInputTables(const ModelShape& shape, uint32_t n_layers, TensorList& list) {
  const uint64_t n_inputs = uint64_t{n_layers} * shape.n_layer_input;
  FORGE_TRY(list.Matrix("per_layer_token_embd", MatrixRole::kAttnLatent, n_inputs, shape.n_vocab));
  list.Float16("per_layer_model_proj", {shape.n_embd, n_inputs}, SynthValues::kMatrix);
  list.Float32("per_layer_proj_norm", {shape.n_layer_input}, SynthValues::kNorm);
  return Status();
}

Status AddLayerInput(const ModelShape& shape, TensorList& list) {
  constexpr MatrixRole kRole = MatrixRole::kAttnLatent;
  FORGE_TRY(list.Matrix("inp_gate", kRole, shape.n_embd, shape.n_layer_input));
  FORGE_TRY(list.Matrix("proj", kRole, shape.n_layer_input, shape.n_embd));
  list.Float32("post_norm", {shape.n_embd}, SynthValues::kNorm);
  list.Float32("layer_output_scale", {1}, SynthValues::kNorm);
  return Status();
}

void AddGemma4Keys(const ModelShape& shape, uint32_t n_layers, const std::string& prefix,
                   GgufHeaderWriter& header) {
  std::vector<int32_t> lengths;
  std::vector<bool> has_window;
  for (uint32_t layer = 0; layer < n_layers; ++layer) {
    lengths.push_back(static_cast<int32_t>(shape.FeedForward(layer)));
    has_window.push_back(!shape.IsFull(layer));
  }
  header.Add(prefix + "feed_forward_length", std::span<const int32_t>(lengths));
  header.Add(prefix + "attention.sliding_window_pattern", has_window);
  header.Add(prefix + "attention.key_length", shape.full_head_dim);
  header.Add(prefix + "attention.value_length", shape.full_head_dim);
  header.Add(prefix + "attention.key_length_swa", shape.head_dim);
  header.Add(prefix + "attention.value_length_swa", shape.head_dim);
  header.Add(prefix + "attention.shared_kv_layers",
             n_layers - std::min(n_layers, shape.n_own_kv_layers));
  header.Add(prefix + "rope.dimension_count", shape.full_head_dim);
  header.Add(prefix + "rope.dimension_count_swa", shape.head_dim);
  header.Add(prefix + "rope.freq_base_swa", shape.window_rope_base);
  header.Add(prefix + "embedding_length_per_layer_input", shape.n_layer_input);
  header.Add(prefix + "final_logit_softcapping", shape.final_soft_cap);
}

}  // namespace forge
