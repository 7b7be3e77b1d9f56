#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <utility>

#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Appends the specs of one place in the model.
class TableWriter {
 public:
  TableWriter(std::vector<TensorSpec>& specs, int layer) : specs_(specs), layer_(layer) {}

  // The tensor `name` of the layer, or of the model.
  void Matrix(WeightRole role, std::string_view name, uint64_t n_rows, uint64_t n_cols,
              uint64_t first_row = 0) {
    specs_.push_back({role, layer_, FullName(name), first_row, n_rows, n_cols, false});
  }
  void Vector(WeightRole role, std::string_view name, uint64_t n_elements,
              uint64_t first_element = 0) {
    specs_.push_back({role, layer_, FullName(name), first_element, 1, n_elements, true});
  }
  // A matrix of each head, all in one tensor.
  TensorSpec& Heads(WeightRole role, std::string_view name, const ModelConfig& config,
                    uint64_t n_rows, uint64_t n_cols) {
    Matrix(role, name, n_rows, n_cols);
    specs_.back().n_slices = config.n_heads;
    return specs_.back();
  }
  // A norm, with its bias if the model's have them: `name`.weight and `name`.bias.
  void Norm(WeightRole weight, WeightRole bias, const std::string& name,
            const ModelConfig& config) {
    Vector(weight, name + ".weight", config.n_embd);
    if (config.has_norm_bias) Vector(bias, name + ".bias", config.n_embd);
  }
  // Weights of the norm of queries or keys of so many heads: one row for each, for all of these
  // heads, or for the whole projection.
  void HeadNorms(WeightRole role, std::string_view name, QkNorm norm, uint32_t n_heads,
                 uint32_t head_dim) {
    Vector(role, name, norm == QkNorm::kProjection ? n_heads * head_dim : head_dim);
    if (norm == QkNorm::kOwnHead) specs_.back().n_slices = n_heads;
  }
  // Rows of numbers, as of the taps of each channel.
  void Rows(WeightRole role, std::string_view name, uint32_t n_rows, uint32_t n_cols) {
    Vector(role, name, n_cols);
    specs_.back().n_slices = n_rows;
  }
  // A matrix of each expert: all in one tensor "ffn_up_exps.weight", or each in its own
  // "ffn_up.3.weight".
  void Experts(WeightRole role, const std::string& name, const ExpertConfig& experts,
               uint64_t n_rows, uint64_t n_cols, uint64_t first_row = 0) {
    if (!experts.is_split) {
      Matrix(role, name + "_exps.weight", n_rows, n_cols, first_row);
      specs_.back().n_slices = experts.count;
      return;
    }
    for (uint32_t expert = 0; expert < experts.count; ++expert) {
      Matrix(role, name + '.' + std::to_string(expert) + ".weight", n_rows, n_cols);
      specs_.back().expert = expert;
    }
  }
  void ExpertBias(WeightRole role, std::string_view name, const ExpertConfig& experts,
                  uint64_t n_elements) {
    Vector(role, name, n_elements);
    specs_.back().n_slices = experts.count;
  }

 private:
  std::string FullName(std::string_view name) const {
    return layer_ < 0 ? std::string(name) : LayerTensorName(static_cast<uint32_t>(layer_), name);
  }

  std::vector<TensorSpec>& specs_;
  const int layer_;
};

struct Projection {
  WeightRole weight, bias;
  std::string_view name;
  uint64_t n_rows;
};

void AddQkv(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  const HeadShape heads = config.HeadsOf(layer);
  const Projection projections[] = {
      {WeightRole::kAttnQ, WeightRole::kAttnQBias, "attn_q",
       uint64_t{config.n_heads} * config.ProjectedQueryDimOf(layer)},
      {WeightRole::kAttnK, WeightRole::kAttnKBias, "attn_k", heads.k_rows()},
      {WeightRole::kAttnV, WeightRole::kAttnVBias, "attn_v", heads.v_rows()}};
  const auto n_projections = static_cast<size_t>(config.ProjectionsOf(layer));
  uint64_t first_row = 0;  // in the fused tensor
  for (const Projection& projection : std::span(projections).first(n_projections)) {
    const std::string name(config.has_fused_qkv ? "attn_qkv" : projection.name);
    table.Matrix(projection.weight, name + ".weight", projection.n_rows, config.n_embd, first_row);
    if (config.has_qkv_bias)
      table.Vector(projection.bias, name + ".bias", projection.n_rows, first_row);
    if (config.has_fused_qkv) first_row += projection.n_rows;
  }
}

void AddHeadMatrices(const ModelConfig& config, TableWriter& table) {
  const LatentConfig& latent = config.latent;
  const uint64_t n_plain = latent.plain_dim, n_values = latent.value_dim;
  if (!latent.has_fused_matrices) {
    table.Heads(WeightRole::kHeadKeys, "attn_k_b.weight", config, latent.rank, n_plain);
    table.Heads(WeightRole::kHeadValues, "attn_v_b.weight", config, n_values, latent.rank);
    return;
  }
  // Of each head the rows of its keys, then those of its values.
  constexpr std::string_view kName = "attn_kv_b.weight";
  TensorSpec& keys = table.Heads(WeightRole::kHeadKeys, kName, config, n_plain, latent.rank);
  keys.slice_stride = n_plain + n_values;
  keys.is_transposed = true;
  TensorSpec& values = table.Heads(WeightRole::kHeadValues, kName, config, n_values, latent.rank);
  values.slice_stride = n_plain + n_values;
  values.first_row = n_plain;
}

void AddLatent(const ModelConfig& config, TableWriter& table) {
  const LatentConfig& latent = config.latent;
  const uint64_t n_embd = config.n_embd;
  const uint64_t q_rows = uint64_t{config.n_heads} * config.ProjectedQueryDimOf(0);
  if (latent.query_rank == 0) {
    table.Matrix(WeightRole::kAttnQ, "attn_q.weight", q_rows, n_embd);
  } else {
    table.Matrix(WeightRole::kQueryLatent, "attn_q_a.weight", latent.query_rank, n_embd);
    table.Vector(WeightRole::kQueryLatentNorm, "attn_q_a_norm.weight", latent.query_rank);
    table.Matrix(WeightRole::kAttnQ, "attn_q_b.weight", q_rows, latent.query_rank);
  }
  table.Matrix(WeightRole::kLatent, "attn_kv_a_mqa.weight", latent.rank, n_embd);
  table.Matrix(WeightRole::kAttnK, "attn_kv_a_mqa.weight", config.rope.dimension, n_embd,
               latent.rank);
  table.Vector(WeightRole::kLatentNorm, "attn_kv_a_norm.weight", latent.rank);
  AddHeadMatrices(config, table);
}

void AddDeltaNet(const ModelConfig& config, TableWriter& table) {
  const DeltaNetConfig& net = config.delta_net;
  const uint64_t n_embd = config.n_embd, n_heads = net.n_value_heads;
  table.Matrix(WeightRole::kMixed, "attn_qkv.weight", net.n_channels(), n_embd);
  table.Matrix(WeightRole::kMixerGate, "attn_gate.weight", net.n_value_rows(), n_embd);
  if (net.has_fused_strengths) {
    table.Matrix(WeightRole::kDeltaStrengths, "ssm_ba.weight", 2 * n_heads, n_embd);
  } else {
    table.Matrix(WeightRole::kDeltaBeta, "ssm_beta.weight", n_heads, n_embd);
    table.Matrix(WeightRole::kMixerAlpha, "ssm_alpha.weight", n_heads, n_embd);
  }
  table.Rows(WeightRole::kConv, "ssm_conv1d.weight", net.n_channels(), net.n_taps);
  table.Vector(WeightRole::kMixerAlphaBias, "ssm_dt.bias", n_heads);
  table.Vector(WeightRole::kMixerDecay, "ssm_a", n_heads);
  table.Vector(WeightRole::kMixerNorm, "ssm_norm.weight", net.head_dim);
  table.Matrix(WeightRole::kAttnOutput, "ssm_out.weight", n_embd, net.n_value_rows());
}

// The input gate, the output gate and what is convolved are rows of one matrix.
void AddShortConv(const ModelConfig& config, TableWriter& table) {
  const uint64_t n_embd = config.n_embd;
  constexpr std::string_view kInput = "shortconv.in_proj.weight";
  table.Matrix(WeightRole::kMixedGate, kInput, n_embd, n_embd);
  table.Matrix(WeightRole::kMixerGate, kInput, n_embd, n_embd, n_embd);
  table.Matrix(WeightRole::kMixed, kInput, n_embd, n_embd, 2 * n_embd);
  table.Rows(WeightRole::kConv, "shortconv.conv.weight", config.n_embd, config.short_conv.n_taps);
  table.Matrix(WeightRole::kAttnOutput, "shortconv.out_proj.weight", n_embd, n_embd);
}

// Gates, what is convolved and steps are rows of one matrix.
void AddStateSpace(const ModelConfig& config, TableWriter& table) {
  const StateSpaceConfig& space = config.state_space;
  const uint64_t n_embd = config.n_embd, n_rows = space.n_rows(), n_channels = space.n_channels();
  constexpr std::string_view kInput = "ssm_in.weight";
  table.Matrix(WeightRole::kMixerGate, kInput, n_rows, n_embd);
  table.Matrix(WeightRole::kMixed, kInput, n_channels, n_embd, n_rows);
  table.Matrix(WeightRole::kMixerAlpha, kInput, space.n_heads, n_embd, n_rows + n_channels);
  table.Rows(WeightRole::kConv, "ssm_conv1d.weight", space.n_channels(), space.n_taps);
  table.Vector(WeightRole::kConvBias, "ssm_conv1d.bias", n_channels);
  table.Vector(WeightRole::kMixerAlphaBias, "ssm_dt.bias", space.n_heads);
  table.Rows(WeightRole::kMixerDecay, "ssm_a", space.n_heads, 1);
  table.Rows(WeightRole::kMixerSkip, "ssm_d", space.n_heads, 1);
  table.Rows(WeightRole::kMixerNorm, "ssm_norm.weight", space.n_groups,
             space.n_rows() / space.n_groups);
  table.Matrix(WeightRole::kAttnOutput, "ssm_out.weight", n_embd, n_rows);
}

void AddRecurrent(const ModelConfig& config, TableWriter& table) {
  if (config.state_space.n_heads != 0) return AddStateSpace(config, table);
  if (config.short_conv.n_taps != 0) return AddShortConv(config, table);
  AddDeltaNet(config, table);
}

void AddQkNorms(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  const HeadShape heads = config.HeadsOf(layer);
  if (config.qk_norm == QkNorm::kNone) return;
  table.HeadNorms(WeightRole::kAttnQNorm, "attn_q_norm.weight", config.qk_norm, config.n_heads,
                  heads.head_dim);
  if (!config.HasOwnKv(layer)) return;
  table.HeadNorms(WeightRole::kAttnKNorm, "attn_k_norm.weight", config.qk_norm, heads.n_kv_heads,
                  heads.head_dim);
}

void AddAttention(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  const uint64_t n_embd = config.n_embd;
  if (config.has_latent())
    AddLatent(config, table);
  else
    AddQkv(config, layer, table);
  AddQkNorms(config, layer, table);
  if (config.has_sinks) table.Vector(WeightRole::kAttnSinks, "attn_sinks.weight", config.n_heads);
  table.Matrix(WeightRole::kAttnOutput, "attn_output.weight", n_embd,
               uint64_t{config.n_heads} * config.OutputDimOf(layer));
  if (config.has_output_bias) table.Vector(WeightRole::kAttnOutputBias, "attn_output.bias", n_embd);
  if (config.has_post_norms)
    table.Vector(WeightRole::kAttnPostNorm, "post_attention_norm.weight", n_embd);
  if (config.has_sum_norms)
    table.Norm(WeightRole::kAttnSumNorm, WeightRole::kAttnSumNormBias, "attn_output_norm", config);
}

void AddEncoderTables(const ModelConfig& config, TableWriter& table) {
  if (config.n_token_types != 0)
    table.Matrix(WeightRole::kTokenTypes, "token_types.weight", config.n_token_types,
                 config.n_embd);
  if (config.has_positions)
    table.Matrix(WeightRole::kPositionEmbedding, "position_embd.weight", config.n_context_train,
                 config.n_embd);
  if (config.has_embedding_norm)
    table.Norm(WeightRole::kEmbeddingNorm, WeightRole::kEmbeddingNormBias, "token_embd_norm",
               config);
}

void AddUngatedDense(const ModelConfig& config, uint64_t n_ff, TableWriter& table) {
  table.Matrix(WeightRole::kFfnUp, "ffn_up.weight", n_ff, config.n_embd);
  table.Matrix(WeightRole::kFfnDown, "ffn_down.weight", config.n_embd, n_ff);
  if (!config.has_ffn_bias) return;
  table.Vector(WeightRole::kFfnUpBias, "ffn_up.bias", n_ff);
  table.Vector(WeightRole::kFfnDownBias, "ffn_down.bias", config.n_embd);
}

void AddDense(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  const uint64_t n_embd = config.n_embd, n_ff = config.FeedForwardOf(layer);
  if (!config.has_gate) return AddUngatedDense(config, n_ff, table);
  const std::string_view gate = config.has_fused_gate_up ? "ffn_up.weight" : "ffn_gate.weight";
  table.Matrix(WeightRole::kFfnGate, gate, n_ff, n_embd);
  table.Matrix(WeightRole::kFfnUp, "ffn_up.weight", n_ff, n_embd,
               config.has_fused_gate_up ? n_ff : 0);
  table.Matrix(WeightRole::kFfnDown, "ffn_down.weight", n_embd, n_ff);
  if (!config.has_ffn_bias) return;
  table.Vector(WeightRole::kFfnGateBias, config.has_fused_gate_up ? "ffn_up.bias" : "ffn_gate.bias",
               n_ff);
  table.Vector(WeightRole::kFfnUpBias, "ffn_up.bias", n_ff, config.has_fused_gate_up ? n_ff : 0);
  table.Vector(WeightRole::kFfnDownBias, "ffn_down.bias", n_embd);
}

// The norms that experts and the dense net beside them have of their own. The router multiplies
// what it takes by 1 / sqrt(n_embd) as well.
void AddNormsBesideDense(const ModelConfig& config, std::vector<TensorSpec>& specs,
                         TableWriter& table) {
  const uint64_t n_embd = config.n_embd;
  table.Vector(WeightRole::kFfnMadeNorm, "post_ffw_norm_1.weight", n_embd);
  table.Vector(WeightRole::kExpertNorm, "pre_ffw_norm_2.weight", n_embd);
  table.Vector(WeightRole::kExpertMadeNorm, "post_ffw_norm_2.weight", n_embd);
  table.Vector(WeightRole::kRouterNorm, "ffn_gate_inp.scale", n_embd);
  specs.back().scale = 1.0 / std::sqrt(static_cast<double>(n_embd));
}

void AddExperts(const ModelConfig& config, TableWriter& table) {
  const ExpertConfig& experts = config.experts;
  const uint64_t n_embd = config.n_embd;
  table.Matrix(WeightRole::kRouter, "ffn_gate_inp.weight", experts.count, n_embd);
  if (experts.has_selection_bias)
    table.Vector(WeightRole::kSelectionBias, "exp_probs_b.bias", experts.count);
  const bool is_fused = experts.has_fused_gate_up;
  if (config.has_gate)
    table.Experts(WeightRole::kExpertGate, is_fused ? "ffn_gate_up" : "ffn_gate", experts,
                  experts.n_ff, n_embd);
  table.Experts(WeightRole::kExpertUp, is_fused ? "ffn_gate_up" : "ffn_up", experts, experts.n_ff,
                n_embd, is_fused ? experts.n_ff : 0);
  table.Experts(WeightRole::kExpertDown, "ffn_down", experts, n_embd, experts.n_ff);
  if (experts.has_scales)
    table.Vector(WeightRole::kExpertScales, "ffn_down_exps.scale", experts.count);
  if (experts.has_bias) {
    table.Vector(WeightRole::kRouterBias, "ffn_gate_inp.bias", experts.count);
    table.ExpertBias(WeightRole::kExpertGateBias, "ffn_gate_exps.bias", experts, experts.n_ff);
    table.ExpertBias(WeightRole::kExpertUpBias, "ffn_up_exps.bias", experts, experts.n_ff);
    table.ExpertBias(WeightRole::kExpertDownBias, "ffn_down_exps.bias", experts, n_embd);
  }
  if (experts.n_shared_ff != 0) {
    const uint64_t n_shared = experts.n_shared_ff;
    if (experts.has_shared_gate)
      table.Matrix(WeightRole::kSharedRouter, "ffn_gate_inp_shexp.weight", 1, n_embd);
    if (config.has_gate)
      table.Matrix(WeightRole::kSharedGate, "ffn_gate_shexp.weight", n_shared, n_embd);
    table.Matrix(WeightRole::kSharedUp, "ffn_up_shexp.weight", n_shared, n_embd);
    table.Matrix(WeightRole::kSharedDown, "ffn_down_shexp.weight", n_embd, n_shared);
  }
}

void AddLayerInput(const ModelConfig& config, TableWriter& table) {
  const uint64_t n_embd = config.n_embd, n_input = config.n_layer_input;
  table.Matrix(WeightRole::kLayerInputGate, "inp_gate.weight", n_input, n_embd);
  table.Matrix(WeightRole::kLayerInputOutput, "proj.weight", n_embd, n_input);
  table.Vector(WeightRole::kLayerInputPostNorm, "post_norm.weight", n_embd);
}

void AddMixer(const ModelConfig& config, uint32_t layer, TableWriter& table) {
  if (config.has_pre_norms)
    table.Norm(WeightRole::kAttnNorm, WeightRole::kAttnNormBias, "attn_norm", config);
  if (config.IsRecurrent(layer))
    AddRecurrent(config, table);
  else
    AddAttention(config, layer, table);
}

void AddNet(const ModelConfig& config, uint32_t layer, std::vector<TensorSpec>& specs,
            TableWriter& table) {
  const bool has_experts = config.HasExperts(layer);
  if (!has_experts || config.experts.has_dense_beside) AddDense(config, layer, table);
  if (has_experts && config.experts.has_dense_beside) AddNormsBesideDense(config, specs, table);
  if (has_experts) AddExperts(config, table);
}

// With the norms around it.
void AddFeedForward(const ModelConfig& config, uint32_t layer, std::vector<TensorSpec>& specs,
                    TableWriter& table) {
  if (config.has_pre_norms && config.order != BlockOrder::kParallelOneNorm)
    table.Norm(WeightRole::kFfnNorm, WeightRole::kFfnNormBias, "ffn_norm", config);
  AddNet(config, layer, specs, table);
  if (config.has_post_norms)
    table.Vector(WeightRole::kFfnPostNorm, "post_ffw_norm.weight", config.n_embd);
  if (config.has_sum_norms)
    table.Norm(WeightRole::kFfnSumNorm, WeightRole::kFfnSumNormBias, "layer_output_norm", config);
}

void AddLayer(const ModelConfig& config, uint32_t layer, std::vector<TensorSpec>& specs) {
  TableWriter table(specs, static_cast<int>(layer));
  if (config.HasMixer(layer)) AddMixer(config, layer, table);
  if (config.HasNet(layer)) AddFeedForward(config, layer, specs, table);
  if (config.HasLayerInputs()) AddLayerInput(config, table);
  if (config.has_layer_scales)
    table.Vector(WeightRole::kLayerScale, "layer_output_scale.weight", 1);
}

// What the layers' inputs are made of: the sum of a row and a product, divided by sqrt(2). The row
// is multiplied by sqrt(n_layer_input) when it is looked up.
void AddLayerInputTables(const ModelConfig& config, std::vector<TensorSpec>& specs,
                         TableWriter& table) {
  const uint64_t n_inputs = uint64_t{config.n_layers} * config.n_layer_input;
  table.Matrix(WeightRole::kLayerInputs, "per_layer_token_embd.weight", config.n_vocab, n_inputs);
  table.Matrix(WeightRole::kLayerInputProjection, "per_layer_model_proj.weight", n_inputs,
               config.n_embd);
  table.Vector(WeightRole::kLayerInputNorm, "per_layer_proj_norm.weight", config.n_layer_input);
  specs.back().scale = std::numbers::sqrt2 / 2;
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
  AddEncoderTables(config, table);
  if (config.HasLayerInputs()) AddLayerInputTables(config, specs, table);
  // What scales the logits scales the output norm, and all that is added from there on.
  const size_t first_scaled = specs.size();
  if (!config.is_encoder)
    table.Norm(WeightRole::kOutputNorm, WeightRole::kOutputNormBias, "output_norm", config);
  if (config.has_logit_bias) table.Vector(WeightRole::kOutputBias, "output.bias", config.n_vocab);
  for (size_t i = first_scaled; i < specs.size(); ++i) specs[i].scale = config.logit_scale;
  if (!config.has_tied_output)
    table.Matrix(WeightRole::kOutput, "output.weight", config.n_vocab, config.n_embd);
  if (config.has_rope_factors)
    table.Vector(WeightRole::kRopeFactors, "rope_freqs.weight", config.rope.dimension / 2);
  if (config.has_long_rope_factors) {
    table.Vector(WeightRole::kRopeFactorsLong, "rope_factors_long.weight",
                 config.rope.dimension / 2);
    table.Vector(WeightRole::kRopeFactorsShort, "rope_factors_short.weight",
                 config.rope.dimension / 2);
  }
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) AddLayer(config, layer, specs);
  return specs;
}

std::vector<TensorSpec> TensorsWithFfnNormNamed(std::string_view name, const ModelConfig& config) {
  std::vector<TensorSpec> specs = TransformerTensors(config);
  for (TensorSpec& spec : specs)
    if (spec.role == WeightRole::kFfnNorm)
      spec.file_tensor = LayerTensorName(static_cast<uint32_t>(spec.layer), name);
  return specs;
}

std::vector<TensorSpec> TensorsWithFfnNormAsPostAttention(const ModelConfig& config) {
  return TensorsWithFfnNormNamed("post_attention_norm.weight", config);
}

}  // namespace forge
