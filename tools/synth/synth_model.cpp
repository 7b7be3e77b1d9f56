#include "tools/synth/synth_model.h"

#include <cmath>
#include <utility>

#include "tools/synth/format_mix.h"
#include "tools/synth/gemma4_parts.h"
#include "tools/synth/synth_vocabulary.h"
#include "tools/synth/tensor_list.h"

namespace forge {
namespace {

// The template of ChatML, whose control tokens the vocabulary has.
constexpr std::string_view kChatTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}";

Status AddLatentAttention(const ModelShape& shape, TensorList& list) {
  const uint64_t n_embd = shape.n_embd, rank = shape.latent_rank;
  const uint64_t q_rows = uint64_t{shape.n_heads} * shape.head_dim;
  const uint64_t n_values = uint64_t{shape.n_heads} * shape.value_dim;
  list.Float32("attn_norm", {n_embd}, SynthValues::kNorm);
  FORGE_TRY(list.Matrix("attn_q", MatrixRole::kAttnQ, n_embd, q_rows));
  FORGE_TRY(list.Matrix("attn_kv_a_mqa", MatrixRole::kAttnLatent, n_embd, rank + shape.rotary_dim));
  list.Float32("attn_kv_a_norm", {rank}, SynthValues::kNorm);
  FORGE_TRY(list.Heads("attn_k_b", shape.head_dim - shape.rotary_dim, rank));
  FORGE_TRY(list.Heads("attn_v_b", rank, shape.value_dim));
  return list.Matrix("attn_output", MatrixRole::kAttnOutput, n_values, n_embd);
}

constexpr uint32_t kDeltaTaps = 4;
constexpr uint32_t kAttentionPeriod = 4;

Status AddDeltaNet(const ModelShape& shape, TensorList& list) {
  const uint64_t n_embd = shape.n_embd, n_heads = shape.n_delta_value_heads;
  const uint64_t n_values = n_heads * shape.delta_head_dim;
  const uint64_t n_channels =
      2 * uint64_t{shape.n_delta_key_heads} * shape.delta_head_dim + n_values;
  constexpr MatrixRole kRole = MatrixRole::kAttnLatent;
  list.Float32("attn_norm", {n_embd}, SynthValues::kNorm);
  FORGE_TRY(list.Matrix("attn_qkv", kRole, n_embd, n_channels));
  FORGE_TRY(list.Matrix("attn_gate", kRole, n_embd, n_values));
  FORGE_TRY(list.Matrix("ssm_beta", kRole, n_embd, n_heads));
  FORGE_TRY(list.Matrix("ssm_alpha", kRole, n_embd, n_heads));
  list.Float32("ssm_conv1d", {kDeltaTaps, n_channels}, SynthValues::kMatrix);
  list.Float32("ssm_dt.bias", {n_heads}, SynthValues::kBias);
  list.Float32("ssm_a", {n_heads}, SynthValues::kDecay);
  list.Float32("ssm_norm", {shape.delta_head_dim}, SynthValues::kNorm);
  return list.Matrix("ssm_out", kRole, n_values, n_embd);
}

constexpr uint32_t kShortConvTaps = 3;

Status AddShortConv(const ModelShape& shape, TensorList& list) {
  const uint64_t n_embd = shape.n_embd;
  constexpr MatrixRole kRole = MatrixRole::kAttnLatent;
  list.Float32("attn_norm", {n_embd}, SynthValues::kNorm);
  FORGE_TRY(list.Matrix("shortconv.in_proj", kRole, n_embd, 3 * n_embd));
  list.Float32("shortconv.conv", {kShortConvTaps, n_embd}, SynthValues::kMatrix);
  return list.Matrix("shortconv.out_proj", kRole, n_embd, n_embd);
}

constexpr uint32_t kSpaceTaps = 4;

Status AddStateSpace(const ModelShape& shape, TensorList& list) {
  const uint64_t n_embd = shape.n_embd, n_heads = shape.n_space_heads;
  const uint64_t n_rows = n_heads * shape.space_head_dim;
  const uint64_t n_groups = shape.n_space_groups;
  const uint64_t n_channels = n_rows + 2 * n_groups * shape.space_state_dim;
  constexpr MatrixRole kRole = MatrixRole::kAttnLatent;
  list.Float32("attn_norm", {n_embd}, SynthValues::kNorm);
  FORGE_TRY(list.Matrix("ssm_in", kRole, n_embd, n_rows + n_channels + n_heads));
  list.Float32("ssm_conv1d", {kSpaceTaps, n_channels}, SynthValues::kMatrix);
  list.Float32("ssm_conv1d.bias", {n_channels}, SynthValues::kBias);
  list.Float32("ssm_dt.bias", {n_heads}, SynthValues::kBias);
  list.Float32("ssm_a", {1, n_heads}, SynthValues::kDecay);
  list.Float32("ssm_d", {1, n_heads}, SynthValues::kNorm);
  if (n_groups == 1)
    list.Float32("ssm_norm", {n_rows}, SynthValues::kNorm);
  else
    list.Float32("ssm_norm", {n_rows / n_groups, n_groups}, SynthValues::kNorm);
  return list.Matrix("ssm_out", kRole, n_rows, n_embd);
}

Status AddAttention(const ModelShape& shape, uint32_t layer, TensorList& list) {
  if (shape.latent_rank > 0) return AddLatentAttention(shape, list);
  if (shape.lacks_attention(layer))
    return shape.has_short_conv() ? AddShortConv(shape, list) : AddStateSpace(shape, list);
  if (shape.is_hybrid() && layer % kAttentionPeriod != kAttentionPeriod - 1)
    return AddDeltaNet(shape, list);
  const uint64_t n_embd = shape.n_embd, head_dim = shape.HeadDim(layer);
  const uint64_t n_heads_out = shape.n_heads * head_dim;
  const uint64_t q_rows = n_heads_out * (shape.is_hybrid() ? 2 : 1);
  const uint64_t kv_rows = shape.n_kv_heads * head_dim;
  const bool has_kv = shape.HasOwnKv(layer);
  list.Float32("attn_norm", {n_embd}, SynthValues::kNorm);
  FORGE_TRY(list.Matrix("attn_q", MatrixRole::kAttnQ, n_embd, q_rows));
  if (has_kv) {
    FORGE_TRY(list.Matrix("attn_k", MatrixRole::kAttnK, n_embd, kv_rows));
    FORGE_TRY(list.Matrix("attn_v", MatrixRole::kAttnV, n_embd, kv_rows));
  }
  if (shape.has_qkv_bias) {
    list.Float32("attn_q.bias", {q_rows}, SynthValues::kBias);
    list.Float32("attn_k.bias", {kv_rows}, SynthValues::kBias);
    list.Float32("attn_v.bias", {kv_rows}, SynthValues::kBias);
  }
  if (shape.has_qk_norm) {
    list.Float32("attn_q_norm", {head_dim}, SynthValues::kNorm);
    if (has_kv) list.Float32("attn_k_norm", {head_dim}, SynthValues::kNorm);
  }
  FORGE_TRY(list.Matrix("attn_output", MatrixRole::kAttnOutput, n_heads_out, n_embd));
  if (shape.has_post_norms) list.Float32("post_attention_norm", {n_embd}, SynthValues::kNorm);
  return Status();
}

Status AddExperts(const ModelShape& shape, TensorList& list) {
  const uint64_t n_embd = shape.n_embd, n_ff = shape.n_expert_ff;
  list.Float32("ffn_gate_inp", {n_embd, shape.n_experts}, SynthValues::kMatrix);
  FORGE_TRY(list.Experts("ffn_gate_exps", MatrixRole::kFfnGate, n_embd, n_ff));
  FORGE_TRY(list.Experts("ffn_up_exps", MatrixRole::kFfnUp, n_embd, n_ff));
  FORGE_TRY(list.Experts("ffn_down_exps", MatrixRole::kFfnDown, n_ff, n_embd));
  const uint64_t n_shared = shape.n_shared_ff + shape.n_shared_experts * n_ff;
  if (n_shared == 0) return Status();
  FORGE_TRY(list.Matrix("ffn_gate_shexp", MatrixRole::kFfnGate, n_embd, n_shared));
  FORGE_TRY(list.Matrix("ffn_up_shexp", MatrixRole::kFfnUp, n_embd, n_shared));
  return list.Matrix("ffn_down_shexp", MatrixRole::kFfnDown, n_shared, n_embd);
}

Status AddFeedForward(const ModelShape& shape, uint32_t layer, TensorList& list) {
  const uint64_t n_embd = shape.n_embd, n_ff = shape.FeedForward(layer);
  const char* const norm = shape.is_hybrid()          ? "post_attention_norm"
                           : shape.has_single_parts() ? "attn_norm"
                                                      : "ffn_norm";
  list.Float32(norm, {n_embd}, SynthValues::kNorm);
  if (shape.n_experts > 0 && layer >= shape.n_dense_layers) {
    FORGE_TRY(AddExperts(shape, list));
  } else {
    const bool is_fused = shape.has_fused_gate_up;
    if (!is_fused && !shape.has_single_parts())
      FORGE_TRY(list.Matrix("ffn_gate", MatrixRole::kFfnGate, n_embd, n_ff));
    FORGE_TRY(list.Matrix("ffn_up", MatrixRole::kFfnUp, n_embd, is_fused ? 2 * n_ff : n_ff));
    FORGE_TRY(list.Matrix("ffn_down", MatrixRole::kFfnDown, n_ff, n_embd));
  }
  if (shape.has_post_norms) list.Float32("post_ffw_norm", {n_embd}, SynthValues::kNorm);
  return Status();
}

Status AddTensors(const FormatMix& mix, SynthModel& model) {
  const ModelShape& shape = model.shape;
  TensorList list(mix, model);
  FORGE_TRY(list.Matrix("token_embd", MatrixRole::kTokenEmbedding, shape.n_embd, shape.n_vocab));
  list.Float32(shape.has_short_conv() ? "token_embd_norm" : "output_norm", {shape.n_embd},
               SynthValues::kNorm);
  if (!shape.has_tied_output)
    FORGE_TRY(list.Matrix("output", MatrixRole::kOutput, shape.n_embd, shape.n_vocab));
  if (shape.rope_factor > 0)
    list.Float32("rope_freqs", {shape.RopeFactorDim() / 2}, SynthValues::kRopeFactors);
  if (shape.n_layer_input > 0) FORGE_TRY(AddLayerInputTables(model.shape, model.n_layers, list));
  for (uint32_t layer = 0; layer < model.n_layers; ++layer) {
    list.set_layer(layer);
    if (shape.HasMixer(layer)) FORGE_TRY(AddAttention(shape, layer, list));
    if (shape.HasNet(layer)) FORGE_TRY(AddFeedForward(shape, layer, list));
    if (shape.n_layer_input > 0) FORGE_TRY(AddLayerInput(shape, list));
  }
  return Status();
}

void AddLatentKeys(const ModelShape& shape, const std::string& prefix, GgufHeaderWriter& header) {
  header.Add(prefix + "attention.kv_lora_rank", shape.latent_rank);
  header.Add(prefix + "attention.key_length", shape.latent_rank + shape.rotary_dim);
  header.Add(prefix + "attention.value_length", shape.latent_rank);
  header.Add(prefix + "attention.key_length_mla", shape.head_dim);
  header.Add(prefix + "attention.value_length_mla", shape.value_dim);
}

void AddDeltaKeys(const ModelShape& shape, const std::string& prefix, GgufHeaderWriter& header) {
  constexpr int32_t kSections[] = {11, 11, 10, 0};
  header.Add(prefix + "rope.dimension_sections", std::span<const int32_t>(kSections));
  header.Add(prefix + "ssm.conv_kernel", kDeltaTaps);
  header.Add(prefix + "ssm.state_size", shape.delta_head_dim);
  header.Add(prefix + "ssm.group_count", shape.n_delta_key_heads);
  header.Add(prefix + "ssm.time_step_rank", shape.n_delta_value_heads);
  header.Add(prefix + "ssm.inner_size", shape.n_delta_value_heads * shape.delta_head_dim);
  header.Add(prefix + "full_attention_interval", kAttentionPeriod);
}

// The nets of layers that are nothing else.
void AddNetKeys(const SynthModel& model, const std::string& prefix, GgufHeaderWriter& header) {
  std::vector<int32_t> n_ff;
  for (uint32_t layer = 0; layer < model.n_layers; ++layer)
    n_ff.push_back(model.shape.HasNet(layer) ? static_cast<int32_t>(model.shape.n_ff) : 0);
  header.Add(prefix + "feed_forward_length", std::span<const int32_t>(n_ff));
  header.Add(prefix + "attention.layer_norm_epsilon", model.shape.rms_epsilon);
}

// The layers with attention by their KV heads, and what the others are.
void AddRecurrentKeys(const SynthModel& model, const std::string& prefix,
                      GgufHeaderWriter& header) {
  const ModelShape& shape = model.shape;
  std::vector<int32_t> n_kv_heads;
  for (uint32_t layer = 0; layer < model.n_layers; ++layer)
    n_kv_heads.push_back(shape.lacks_attention(layer) ? 0 : static_cast<int32_t>(shape.n_kv_heads));
  header.Add(prefix + "attention.head_count_kv", std::span<const int32_t>(n_kv_heads));
  if (shape.has_short_conv()) return header.Add(prefix + "shortconv.l_cache", kShortConvTaps);
  header.Add(prefix + "ssm.conv_kernel", kSpaceTaps);
  header.Add(prefix + "ssm.state_size", shape.space_state_dim);
  header.Add(prefix + "ssm.group_count", shape.n_space_groups);
  header.Add(prefix + "ssm.time_step_rank", shape.n_space_heads);
  header.Add(prefix + "ssm.inner_size", shape.n_space_heads * shape.space_head_dim);
  header.Add(prefix + "rope.scaling.finetuned", false);
}

void AddScales(const ModelShape& shape, const std::string& prefix, GgufHeaderWriter& header) {
  header.Add(prefix + "embedding_scale", shape.embedding_scale);
  header.Add(prefix + "residual_scale", shape.residual_scale);
  header.Add(prefix + "attention.scale", shape.attention_scale);
  header.Add(prefix + "logit_scale", shape.logit_scale);
}

void AddYarnKeys(const ModelShape& shape, const std::string& prefix, GgufHeaderWriter& header) {
  header.Add(prefix + "rope.scaling.type", "yarn");
  header.Add(prefix + "rope.scaling.factor", shape.yarn_factor);
  header.Add(prefix + "rope.scaling.original_context_length", shape.yarn_context);
  header.Add(prefix + "rope.scaling.yarn_log_multiplier", shape.yarn_log_multiplier);
}

void AddModelKeys(const SynthModel& model, std::string_view name, uint32_t file_type,
                  GgufHeaderWriter& header) {
  const ModelShape& shape = model.shape;
  const std::string prefix = std::string(shape.architecture) + ".";
  header.Add("general.architecture", shape.architecture);
  header.Add("general.name", name);
  header.Add("general.file_type", file_type);
  header.Add("general.quantization_version", uint32_t{2});
  header.Add(prefix + "block_count", model.n_layers);
  header.Add(prefix + "context_length", shape.n_context);
  header.Add(prefix + "embedding_length", shape.n_embd);
  if (shape.n_layer_input == 0 && !shape.has_single_parts())
    header.Add(prefix + "feed_forward_length", shape.n_ff);
  header.Add(prefix + "attention.head_count", shape.n_heads);
  if (shape.attention_layers == 0) header.Add(prefix + "attention.head_count_kv", shape.n_kv_heads);
  header.Add(prefix + "attention.layer_norm_rms_epsilon", shape.rms_epsilon);
  header.Add(prefix + "rope.freq_base", shape.rope_base);
  if (shape.writes_head_dim() && shape.n_layer_input == 0) {
    header.Add(prefix + "attention.key_length", shape.head_dim);
    header.Add(prefix + "attention.value_length", shape.head_dim);
  }
  // Files of the llama family have it always, and llama.cpp's loader of that family wants it.
  if (shape.rotary_dim > 0 || shape.architecture == "llama")
    header.Add(prefix + "rope.dimension_count",
               shape.rotary_dim > 0 ? shape.rotary_dim : shape.head_dim);
  if (shape.sliding_window > 0)
    header.Add(prefix + "attention.sliding_window", shape.sliding_window);
  if (shape.n_experts > 0) {
    header.Add(prefix + "expert_count", shape.n_experts);
    header.Add(prefix + "expert_used_count", shape.n_experts_used);
    header.Add(prefix + "expert_feed_forward_length", shape.n_expert_ff);
  }
  if (shape.n_shared_experts > 0)
    header.Add(prefix + "expert_shared_count", shape.n_shared_experts);
  if (shape.n_shared_ff > 0)
    header.Add(prefix + "expert_shared_feed_forward_length", shape.n_shared_ff);
  if (shape.n_dense_layers > 0)
    header.Add(prefix + "leading_dense_block_count", shape.n_dense_layers);
  if (shape.latent_rank > 0) AddLatentKeys(shape, prefix, header);
  if (shape.n_layer_input > 0) AddGemma4Keys(shape, model.n_layers, prefix, header);
  if (shape.is_hybrid()) AddDeltaKeys(shape, prefix, header);
  if (shape.attention_layers != 0) AddRecurrentKeys(model, prefix, header);
  if (shape.has_single_parts()) AddNetKeys(model, prefix, header);
  if (shape.embedding_scale > 0) AddScales(shape, prefix, header);
  if (shape.yarn_factor > 0) AddYarnKeys(shape, prefix, header);
}

void AddVocabulary(uint32_t n_vocab, GgufHeaderWriter& header) {
  const SynthVocabulary vocabulary = MakeSynthVocabulary(n_vocab);
  header.Add("tokenizer.ggml.model", "gpt2");
  header.Add("tokenizer.ggml.pre", "gpt-2");
  header.Add("tokenizer.ggml.tokens", std::span<const std::string>(vocabulary.tokens));
  header.Add("tokenizer.ggml.token_type", std::span<const int32_t>(vocabulary.types));
  header.Add("tokenizer.ggml.merges", std::span<const std::string>(vocabulary.merges));
  header.Add("tokenizer.ggml.bos_token_id", n_vocab - 3);
  header.Add("tokenizer.ggml.eos_token_id", n_vocab - 1);
  header.Add("tokenizer.ggml.add_bos_token", false);
  header.Add("tokenizer.chat_template", kChatTemplate);
}

}  // namespace

uint64_t SynthModel::file_bytes() const {
  if (tensors.empty()) return header.size();
  return header.size() + tensors.back().offset_bytes + AlignedSize(tensors.back().size_bytes());
}

Result<SynthModel> PlanSynthModel(const SynthOptions& options) {
  const ModelShape* const shape = FindModelShape(options.shape);
  if (shape == nullptr)
    return NotFound("unknown shape '" + options.shape + "'; --list shows the shapes");
  SynthModel model;
  model.shape = *shape;
  model.n_layers = options.n_layers == 0 ? shape->default_layers : options.n_layers;
  if (model.n_layers > 512)
    return InvalidArgument("a model has 1 to 512 layers, not " + std::to_string(model.n_layers));
  FORGE_ASSIGN_OR_RETURN(const FormatMix mix,
                         FormatMix::Create(options.type, *shape, model.n_layers, options.is_pure));
  FORGE_TRY(AddTensors(mix, model));
  GgufHeaderWriter header;
  AddModelKeys(model, "synthetic " + options.shape + " " + options.type, mix.file_type(), header);
  AddVocabulary(shape->n_vocab, header);
  model.header = header.Finish(model.tensors);
  return model;
}

}  // namespace forge
