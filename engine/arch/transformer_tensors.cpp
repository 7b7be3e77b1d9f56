#include <string>
#include <utility>

#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Appends the specs of one place in the model.
class TableWriter {
 public:
  TableWriter(std::vector<TensorSpec>& specs, int layer) : specs_(specs), layer_(layer) {}

  void Matrix(WeightRole role, std::string tensor, uint64_t n_rows, uint64_t n_cols,
              uint64_t first_row = 0) {
    specs_.push_back({role, layer_, std::move(tensor), first_row, n_rows, n_cols, false});
  }
  void Vector(WeightRole role, std::string tensor, uint64_t n_elements,
              uint64_t first_element = 0) {
    specs_.push_back({role, layer_, std::move(tensor), first_element, 1, n_elements, true});
  }

 private:
  std::vector<TensorSpec>& specs_;
  const int layer_;
};

struct Projection {
  WeightRole weight, bias;
  std::string_view name;
  uint64_t n_rows;
};

void AddQkv(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  const Projection projections[] = {
      {WeightRole::kAttnQ, WeightRole::kAttnQBias, "attn_q", config.q_rows()},
      {WeightRole::kAttnK, WeightRole::kAttnKBias, "attn_k", config.k_rows()},
      {WeightRole::kAttnV, WeightRole::kAttnVBias, "attn_v", config.v_rows()}};
  uint64_t first_row = 0;  // in the fused tensor
  for (const Projection& projection : projections) {
    const std::string name = LayerTensorName(
        layer, config.has_fused_qkv ? std::string_view("attn_qkv") : projection.name);
    table.Matrix(projection.weight, name + ".weight", projection.n_rows, config.n_embd, first_row);
    if (config.has_qkv_bias)
      table.Vector(projection.bias, name + ".bias", projection.n_rows, first_row);
    if (config.has_fused_qkv) first_row += projection.n_rows;
  }
}

void AddLayer(const ModelConfig& config, uint32_t layer, std::vector<TensorSpec>& specs) {
  TableWriter table(specs, static_cast<int>(layer));
  const auto name = [&](std::string_view suffix) { return LayerTensorName(layer, suffix); };
  const uint64_t n_embd = config.n_embd;
  table.Vector(WeightRole::kAttnNorm, name("attn_norm.weight"), n_embd);
  AddQkv(config, layer, table);
  table.Matrix(WeightRole::kAttnOutput, name("attn_output.weight"), n_embd,
               uint64_t{config.n_heads} * config.value_dim);
  if (config.has_output_bias)
    table.Vector(WeightRole::kAttnOutputBias, name("attn_output.bias"), n_embd);
  table.Vector(WeightRole::kFfnNorm, name("ffn_norm.weight"), n_embd);
  table.Matrix(WeightRole::kFfnGate, name("ffn_gate.weight"), config.n_ff, n_embd);
  table.Matrix(WeightRole::kFfnUp, name("ffn_up.weight"), config.n_ff, n_embd);
  table.Matrix(WeightRole::kFfnDown, name("ffn_down.weight"), n_embd, config.n_ff);
}

}  // namespace

std::string LayerTensorName(uint32_t layer, std::string_view suffix) {
  std::string name = "blk." + std::to_string(layer);
  name += '.';
  name += suffix;
  return name;
}

std::vector<TensorSpec> TransformerTensors(const ModelConfig& config) {
  std::vector<TensorSpec> specs;
  TableWriter table(specs, /*layer=*/-1);
  table.Matrix(WeightRole::kTokenEmbedding, "token_embd.weight", config.n_vocab, config.n_embd);
  table.Vector(WeightRole::kOutputNorm, "output_norm.weight", config.n_embd);
  if (!config.has_tied_output)
    table.Matrix(WeightRole::kOutput, "output.weight", config.n_vocab, config.n_embd);
  if (config.has_rope_factors)
    table.Vector(WeightRole::kRopeFactors, "rope_freqs.weight", config.rope.dimension / 2);
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) AddLayer(config, layer, specs);
  return specs;
}

}  // namespace forge
