#include "tests/support/tiny_model.h"

#include <cmath>
#include <vector>

#include "kernels/base/check.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_gemma4.h"
#include "tests/support/tiny_recurrent.h"
#include "tests/support/tiny_sizes.h"
#include "tests/support/weight_writer.h"

namespace forge::testing {
namespace {

// The options with what their family adds.
TinyModelOptions Completed(TinyModelOptions options) {
  const TinyFamily family = FamilyOf(options);
  options.has_qkv_bias |= family.has_qkv_bias;
  options.has_fused_qkv |= family.has_fused_qkv;
  options.has_qkv_bias |= family.has_all_biases;
  options.has_ffn_bias |= family.has_all_biases;
  options.has_tied_output |= family.has_tied_output;
  if (family.is_encoder) options.n_kv_heads = options.n_heads;  // and says nothing of them
  options.is_parallel |= family.is_parallel;
  if (family.has_window && options.window == 0) options.window = 24;
  if (family.has_experts && options.n_experts == 0) options.n_experts = 4;
  if (options.expert_type == 0) options.expert_type = options.matrix_type;
  return options;
}

void AddExpertParameters(const TinyModelOptions& options, const std::string& prefix,
                         GgufBuilder& builder) {
  if (options.n_experts != 0)
    builder.AddUint32(prefix + "expert_count", options.n_experts)
        .AddUint32(prefix + "expert_used_count", options.n_experts_used)
        .AddUint32(prefix + "expert_feed_forward_length", ExpertLength(options));
  const TinyFamily family = FamilyOf(options);
  if (family.has_shared_expert && family.counts_shared_experts)
    builder.AddUint32(prefix + "expert_shared_count", kSharedCount);
  else if (family.has_shared_expert)
    builder.AddUint32(prefix + "expert_shared_feed_forward_length", SharedLength(options));
  if (family.has_dense_layer)
    builder.AddUint32(prefix + "leading_dense_block_count", IsDense(options, 0) ? 1 : 0);
  if (options.architecture == "ernie4_5-moe")
    builder.AddUint32(prefix + "interleave_moe_layer_step", 1);
  if (family.has_sigmoids) builder.AddUint32(prefix + "expert_gating_func", 2);
  if (family.has_expert_groups)
    builder.AddUint32(prefix + "expert_group_count", 2)
        .AddUint32(prefix + "expert_group_used_count",
                   2 * options.n_experts_used > options.n_experts ? 2 : 1);
  if (family.has_weight_scale)
    builder.AddFloat32(prefix + "expert_weights_scale", 1.75f)
        .AddBool(prefix + "expert_weights_norm", true);
  if (family.has_prediction_layer) builder.AddUint32(prefix + "nextn_predict_layers", 1);
}

// Newer files tell the heads of the cache, of which there is one, and the model's apart.
void AddLatentParameters(const TinyModelOptions& options, const std::string& prefix,
                         GgufBuilder& builder) {
  const LatentSizes sizes = LatentSizesOf(options);
  const auto add = [&](const char* key, uint64_t value) {
    builder.AddUint32(prefix + key, static_cast<uint32_t>(value));
  };
  const uint64_t n_query = sizes.n_plain + sizes.n_turned;
  const bool is_old = options.has_fused_latent;
  add("attention.head_count_kv", is_old ? options.n_heads : 1);
  add("attention.key_length", is_old ? n_query : sizes.rank + sizes.n_turned);
  add("attention.value_length", is_old ? sizes.n_values : sizes.rank);
  if (!is_old) {
    add("attention.key_length_mla", n_query);
    add("attention.value_length_mla", sizes.n_values);
  }
  add("attention.kv_lora_rank", sizes.rank);
  if (!options.is_lite) add("attention.q_lora_rank", sizes.query_rank);
  add("rope.dimension_count", sizes.n_turned);
}

void AddParameters(const TinyModelOptions& options, GgufBuilder& builder) {
  const std::string prefix = options.architecture + ".";
  const TinyFamily family = FamilyOf(options);
  builder.AddString("general.architecture", options.architecture)
      .AddString("general.name", options.name)
      .AddUint32(prefix + "block_count", options.n_layers + (family.has_prediction_layer ? 1 : 0))
      .AddUint32(prefix + "context_length", options.n_context)
      .AddUint32(prefix + "embedding_length", options.n_embd);
  if (!family.has_layer_kinds && !family.has_single_parts)
    builder.AddUint32(prefix + "feed_forward_length", options.n_ff);
  builder.AddUint32(prefix + "attention.head_count", options.n_heads);
  if (family.has_layer_kinds)
    AddGemma4Parameters(options, builder);
  else if (family.has_latent)
    AddLatentParameters(options, prefix, builder);
  else if (family.is_encoder)
    builder.AddBool(prefix + "attention.causal", false)
        .AddUint32("tokenizer.ggml.token_type_count", kTokenTypes);
  else if (!family.has_kv_heads_of_layers())
    builder.AddUint32(prefix + "attention.head_count_kv", options.n_kv_heads);
  builder
      .AddFloat32(prefix + (family.has_layer_norms ? "attention.layer_norm_epsilon"
                                                   : "attention.layer_norm_rms_epsilon"),
                  options.rms_epsilon)
      .AddFloat32(prefix + "rope.freq_base", 10000.0f);
  if (options.head_dim != 0 && !family.has_layer_kinds)
    builder.AddUint32(prefix + "attention.key_length", options.head_dim)
        .AddUint32(prefix + "attention.value_length", options.head_dim);
  if (options.rope_dimension != 0 && !family.has_layer_kinds)
    builder.AddUint32(prefix + "rope.dimension_count", options.rope_dimension);
  if (options.window != 0) builder.AddUint32(prefix + "attention.sliding_window", options.window);
  AddExpertParameters(options, prefix, builder);
  if (family.has_recurrent_layers()) AddRecurrentParameters(options, prefix, builder);
  if (family.has_scales)
    builder.AddFloat32(prefix + "embedding_scale", 3.0f)
        .AddFloat32(prefix + "residual_scale", 0.4f)
        .AddFloat32(prefix + "attention.scale", 0.3f)
        .AddFloat32(prefix + "logit_scale", options.logit_scale);
  if (family.has_logit_scale) builder.AddFloat32(prefix + "logit_scale", options.logit_scale);
  if (family.says_order) builder.AddBool(prefix + "use_parallel_residual", options.is_parallel);
  if (family.has_query_growth)
    builder.AddUint32(prefix + "rope.scaling.original_context_length", 64)
        .AddFloat32(prefix + "attention.temperature_scale", 0.5f);
  if (family.has_rope_sections) {
    const int32_t sections[] = {3, 3, 2, 0};
    builder.AddInt32Array(prefix + "rope.dimension_sections", sections);
  }
  if (options.has_long_rope && options.architecture != "phi3")
    builder.AddString(prefix + "rope.scaling.type", "longrope");
  if (options.has_long_rope)
    builder.AddUint32(prefix + "rope.scaling.original_context_length", 64)
        .AddFloat32(prefix + "rope.scaling.attn_factor", 1.19f);
}

void AddQkv(const TinyModelOptions& options, const std::string& prefix, uint64_t head_dim,
            WeightWriter& writer, GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd;
  const uint64_t n_gates = FamilyOf(options).is_hybrid ? options.n_heads * head_dim : 0;
  const uint64_t rows[] = {options.n_heads * head_dim + n_gates, options.n_kv_heads * head_dim,
                           options.n_kv_heads * head_dim};
  constexpr std::string_view kNames[] = {"attn_q", "attn_k", "attn_v"};
  const bool has_bias = options.has_qkv_bias;
  const uint32_t type = options.matrix_type;
  std::vector<float> all_weights, all_biases;
  for (int i = 0; i < 3; ++i) {
    const std::string name = prefix + std::string(kNames[i]);
    const std::vector<float> weights = writer.DrawMatrix(n_embd, rows[i]);
    const std::vector<float> biases = has_bias ? writer.Draw(rows[i], 0.5f) : std::vector<float>();
    if (!options.has_fused_qkv) {
      if (type != 0)
        writer.Quantised(name + ".weight", WeightWriter::Shape(n_embd, rows[i]), type);
      else
        builder.AddF32Tensor(name + ".weight", WeightWriter::Shape(n_embd, rows[i]), weights);
      if (has_bias) builder.AddF32Tensor(name + ".bias", WeightWriter::Shape(rows[i]), biases);
    }
    all_weights.insert(all_weights.end(), weights.begin(), weights.end());
    all_biases.insert(all_biases.end(), biases.begin(), biases.end());
  }
  if (!options.has_fused_qkv) return;
  const uint64_t n_rows = rows[0] + rows[1] + rows[2];
  if (type != 0)
    writer.Quantised(prefix + "attn_qkv.weight", WeightWriter::Shape(n_embd, n_rows), type);
  else
    builder.AddF32Tensor(prefix + "attn_qkv.weight", WeightWriter::Shape(n_embd, n_rows),
                         all_weights);
  if (has_bias)
    builder.AddF32Tensor(prefix + "attn_qkv.bias", WeightWriter::Shape(n_rows), all_biases);
}

// The matrices of each head, which older files have one above the other: of [n_plain, rank] for
// keys, which newer ones have transposed, and of [n_values, rank] for values.
void AddHeadMatrices(const TinyModelOptions& options, const std::string& prefix,
                     WeightWriter& writer, GgufBuilder& builder) {
  const LatentSizes sizes = LatentSizesOf(options);
  const uint64_t n_heads = options.n_heads, rank = sizes.rank, n_plain = sizes.n_plain;
  const auto add = [&](const char* name, const std::vector<uint64_t>& shape,
                       const std::vector<float>& values) {
    if (options.matrix_type != 0)
      return writer.Quantised(prefix + name, shape, options.matrix_type);
    builder.AddF32Tensor(prefix + name, shape, values);
  };
  std::vector<float> both, transposed, of_values;
  for (uint64_t head = 0; head < n_heads; ++head) {
    const std::vector<float> keys = writer.DrawMatrix(rank, n_plain);
    const std::vector<float> values = writer.DrawMatrix(rank, sizes.n_values);
    for (uint64_t column = 0; column < rank; ++column)
      for (uint64_t row = 0; row < n_plain; ++row) transposed.push_back(keys[row * rank + column]);
    of_values.insert(of_values.end(), values.begin(), values.end());
    both.insert(both.end(), keys.begin(), keys.end());
    both.insert(both.end(), values.begin(), values.end());
  }
  if (options.has_fused_latent)
    return add("attn_kv_b.weight", WeightWriter::Shape(rank, n_heads * (n_plain + sizes.n_values)),
               both);
  add("attn_k_b.weight", WeightWriter::Shape(n_plain, rank, n_heads), transposed);
  add("attn_v_b.weight", WeightWriter::Shape(rank, sizes.n_values, n_heads), of_values);
}

void AddLatent(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
               GgufBuilder& builder) {
  const LatentSizes sizes = LatentSizesOf(options);
  const uint64_t n_embd = options.n_embd;
  const uint64_t q_rows = options.n_heads * (sizes.n_plain + sizes.n_turned);
  const uint32_t type = options.matrix_type;
  if (options.is_lite) {
    writer.Matrix(prefix + "attn_q.weight", n_embd, q_rows, type);
  } else {
    writer.Matrix(prefix + "attn_q_a.weight", n_embd, sizes.query_rank, type);
    writer.Norm(prefix + "attn_q_a_norm.weight", sizes.query_rank);
    writer.Matrix(prefix + "attn_q_b.weight", sizes.query_rank, q_rows, type);
  }
  writer.Matrix(prefix + "attn_kv_a_mqa.weight", n_embd, sizes.rank + sizes.n_turned, type);
  writer.Norm(prefix + "attn_kv_a_norm.weight", sizes.rank);
  AddHeadMatrices(options, prefix, writer, builder);
}

// One matrix of every expert, in one tensor or in one for each.
void AddExpertMatrices(const TinyModelOptions& options, const std::string& name, uint64_t n_cols,
                       uint64_t n_rows, WeightWriter& writer, GgufBuilder& builder) {
  const uint64_t n_experts = options.n_experts;
  if (options.expert_type != 0)
    return writer.Quantised(name + "_exps.weight", WeightWriter::Shape(n_cols, n_rows, n_experts),
                            options.expert_type);
  std::vector<float> all;
  for (uint64_t expert = 0; expert < n_experts; ++expert) {
    const std::vector<float> values = writer.DrawMatrix(n_cols, n_rows);
    if (options.has_split_experts)
      builder.AddF32Tensor(name + "." + std::to_string(expert) + ".weight",
                           WeightWriter::Shape(n_cols, n_rows), values);
    all.insert(all.end(), values.begin(), values.end());
  }
  if (!options.has_split_experts)
    builder.AddF32Tensor(name + "_exps.weight", WeightWriter::Shape(n_cols, n_rows, n_experts),
                         all);
}

void AddExperts(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd, n_ff = ExpertLength(options);
  const uint64_t n_experts = options.n_experts;
  const TinyFamily family = FamilyOf(options);
  writer.Matrix(prefix + "ffn_gate_inp.weight", n_embd, n_experts);
  // As wide as what experts are chosen by otherwise, so that it turns some choices.
  if (family.has_selection_bias)
    builder.AddF32Tensor(prefix + "exp_probs_b.bias", WeightWriter::Shape(n_experts),
                         writer.Draw(n_experts, 0.1f));
  if (family.has_gate)
    AddExpertMatrices(options, prefix + "ffn_gate", n_embd, n_ff, writer, builder);
  AddExpertMatrices(options, prefix + "ffn_up", n_embd, n_ff, writer, builder);
  AddExpertMatrices(options, prefix + "ffn_down", n_ff, n_embd, writer, builder);
  if (options.architecture == "gpt-oss") {
    writer.Bias(prefix + "ffn_gate_inp.bias", n_experts);
    const std::pair<const char*, uint64_t> biases[] = {
        {"ffn_gate_exps.bias", n_ff}, {"ffn_up_exps.bias", n_ff}, {"ffn_down_exps.bias", n_embd}};
    for (const auto& [name, n] : biases)
      builder.AddF32Tensor(prefix + name, WeightWriter::Shape(n, n_experts),
                           writer.Draw(n * n_experts, 0.5f));
  }
  if (family.has_shared_gate) {
    const std::vector<float> gate = writer.DrawMatrix(n_embd, 1);
    builder.AddF32Tensor(prefix + "ffn_gate_inp_shexp.weight", WeightWriter::Shape(n_embd), gate);
  }
  if (family.has_shared_expert) {
    const uint64_t n_shared = SharedLength(options);
    if (family.has_gate)
      writer.Matrix(prefix + "ffn_gate_shexp.weight", n_embd, n_shared, options.matrix_type);
    writer.Matrix(prefix + "ffn_up_shexp.weight", n_embd, n_shared, options.matrix_type);
    writer.Matrix(prefix + "ffn_down_shexp.weight", n_shared, n_embd, options.matrix_type);
  }
}

void AddDense(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer) {
  const TinyFamily family = FamilyOf(options);
  const bool is_fused = family.has_fused_gate_up;
  const bool has_own_gate = family.has_gate && !is_fused;
  const uint32_t type = options.matrix_type;
  if (has_own_gate) writer.Matrix(prefix + "ffn_gate.weight", options.n_embd, options.n_ff, type);
  writer.Matrix(prefix + "ffn_up.weight", options.n_embd,
                uint64_t{options.n_ff} * (is_fused ? 2 : 1), type);
  writer.Matrix(prefix + "ffn_down.weight", options.n_ff, options.n_embd, type);
  if (!options.has_ffn_bias) return;
  if (has_own_gate) writer.Bias(prefix + "ffn_gate.bias", options.n_ff);
  writer.Bias(prefix + "ffn_up.bias", uint64_t{options.n_ff} * (is_fused ? 2 : 1));
  writer.Bias(prefix + "ffn_down.bias", options.n_embd);
}

void AddAttention(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                  GgufBuilder& builder) {
  const TinyFamily family = FamilyOf(options);
  const uint64_t head_dim = HeadLength(options);
  const uint64_t n_values = family.has_latent ? LatentSizesOf(options).n_values : head_dim;
  if (family.has_latent)
    AddLatent(options, prefix, writer, builder);
  else
    AddQkv(options, prefix, head_dim, writer, builder);
  if (family.has_own_head_norms && options.has_qk_norm) {
    writer.HeadNorms(prefix + "attn_q_norm.weight", head_dim, options.n_heads);
    writer.HeadNorms(prefix + "attn_k_norm.weight", head_dim, options.n_kv_heads);
  } else if (family.has_qk_norm || options.has_qk_norm) {
    const bool is_whole = family.norms_whole_projections;
    writer.Norm(prefix + "attn_q_norm.weight", head_dim * (is_whole ? options.n_heads : 1));
    writer.Norm(prefix + "attn_k_norm.weight", head_dim * (is_whole ? options.n_kv_heads : 1));
  }
  writer.Matrix(prefix + "attn_output.weight", options.n_heads * n_values, options.n_embd,
                options.matrix_type);
  if (options.architecture == "gpt-oss") {
    writer.Bias(prefix + "attn_sinks.weight", options.n_heads);
    writer.Bias(prefix + "attn_output.bias", options.n_embd);
  }
  if (family.has_all_biases) writer.Bias(prefix + "attn_output.bias", options.n_embd);
}

void AddNet(const TinyModelOptions& options, uint32_t layer, const std::string& prefix,
            WeightWriter& writer, GgufBuilder& builder) {
  if (IsDense(options, layer))
    AddDense(options, prefix, writer);
  else
    AddExperts(options, prefix, writer, builder);
}

void AddLayer(const TinyModelOptions& options, uint32_t layer, WeightWriter& writer,
              GgufBuilder& builder) {
  const TinyFamily family = FamilyOf(options);
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  if (family.has_layer_kinds) return AddGemma4Layer(options, layer, writer, builder);
  const bool has_norm_biases = family.has_layer_norms && !family.lacks_norm_biases;
  const auto add_norm = [&](const std::string& name) {
    writer.Norm(prefix + name + ".weight", options.n_embd);
    if (has_norm_biases) writer.NormBias(prefix + name + ".bias", options.n_embd);
  };
  if (family.has_pre_norms) add_norm("attn_norm");
  if (options.has_second_norm) add_norm("attn_norm_2");
  if (IsRecurrent(options, layer))
    AddRecurrentLayer(options, prefix, writer, builder);
  else if (HasAttention(options, layer))
    AddAttention(options, prefix, writer, builder);
  if (family.is_encoder) add_norm("attn_output_norm");
  const bool is_named_after = family.has_ffn_norm_after_attention;
  if (family.has_post_norms || is_named_after)
    writer.Norm(prefix + "post_attention_norm.weight", options.n_embd);
  if (family.has_pre_norms && !is_named_after && !family.has_single_parts &&
      (!options.is_parallel || family.says_order))
    add_norm("ffn_norm");
  if (HasNet(options, layer)) AddNet(options, layer, prefix, writer, builder);
  if (family.has_post_norms) writer.Norm(prefix + "post_ffw_norm.weight", options.n_embd);
  if (family.is_encoder) add_norm("layer_output_norm");
}

void AddEncoderTables(const TinyModelOptions& options, WeightWriter& writer) {
  writer.Matrix("token_types.weight", options.n_embd, kTokenTypes);
  if (FamilyOf(options).has_positions)
    writer.Matrix("position_embd.weight", options.n_embd, options.n_context);
  writer.Norm("token_embd_norm.weight", options.n_embd);
  writer.NormBias("token_embd_norm.bias", options.n_embd);
}

void AddOutput(const TinyModelOptions& options, WeightWriter& writer) {
  const TinyFamily family = FamilyOf(options);
  const uint64_t n_vocab = TinyVocabularySize(options.vocabulary);
  writer.Norm(family.has_short_conv ? "token_embd_norm.weight" : "output_norm.weight",
              options.n_embd);
  if (family.has_layer_norms && !family.lacks_norm_biases)
    writer.NormBias("output_norm.bias", options.n_embd);
  if (family.has_logit_bias) writer.Bias("output.bias", n_vocab);
  if (!options.has_tied_output)
    writer.Matrix("output.weight", options.n_embd, n_vocab, options.matrix_type);
}

// A layer more, and what it makes of the last one's output and the next token.
void AddPredictionLayer(const TinyModelOptions& options, WeightWriter& writer,
                        GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd;
  AddLayer(options, options.n_layers, writer, builder);
  const std::string prefix = "blk." + std::to_string(options.n_layers) + ".nextn.";
  writer.Matrix(prefix + "eh_proj.weight", 2 * n_embd, n_embd);
  for (const char* norm : {"enorm.weight", "hnorm.weight", "shared_head_norm.weight"})
    writer.Norm(prefix + norm, n_embd);
  if (options.architecture == "bailingmoe2")
    writer.Norm("blk." + std::to_string(options.n_layers) + ".layer_output_norm.weight", n_embd);
}

void AddLongRope(const TinyModelOptions& options, GgufBuilder& builder) {
  const uint64_t n_pairs = options.n_embd / options.n_heads / 2;
  std::vector<float> short_factors, long_factors;
  for (uint64_t i = 0; i < n_pairs; ++i) {
    short_factors.push_back(1.0f + 0.01f * static_cast<float>(i));
    long_factors.push_back(1.5f + 0.5f * static_cast<float>(i));
  }
  builder.AddF32Tensor("rope_factors_long.weight", WeightWriter::Shape(n_pairs), long_factors);
  builder.AddF32Tensor("rope_factors_short.weight", WeightWriter::Shape(n_pairs), short_factors);
}

}  // namespace

GgufBuilder MakeTinyModel(const TinyModelOptions& wanted) {
  FORGE_CHECK(wanted.n_heads > 0, "a model needs heads");
  const TinyModelOptions options = Completed(wanted);
  GgufBuilder builder;
  AddParameters(options, builder);
  AddTinyVocabulary(options.vocabulary, options.has_chat_template && options.chat_template.empty(),
                    builder);
  if (!options.chat_template.empty())
    builder.AddString("tokenizer.chat_template", std::string(options.chat_template));
  WeightWriter writer(options.seed, builder);
  const uint64_t n_vocab = TinyVocabularySize(options.vocabulary);
  writer.Matrix("token_embd.weight", options.n_embd, n_vocab, options.matrix_type);
  const TinyFamily family = FamilyOf(options);
  if (family.is_encoder)
    AddEncoderTables(options, writer);
  else
    AddOutput(options, writer);
  if (options.has_long_rope) AddLongRope(options, builder);
  if (family.has_layer_kinds) AddGemma4Tables(options, n_vocab, writer, builder);
  for (uint32_t layer = 0; layer < options.n_layers; ++layer)
    AddLayer(options, layer, writer, builder);
  if (family.has_prediction_layer) AddPredictionLayer(options, writer, builder);
  return builder;
}

void WriteTinyModel(const std::filesystem::path& path, const TinyModelOptions& options) {
  WriteFile(path, MakeTinyModel(options).Build());
}

}  // namespace forge::testing
