#include "tests/support/tiny_gemma4.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/tiny_sizes.h"

namespace forge::testing {
namespace {

bool HasWindow(const TinyModelOptions& options, uint32_t layer) {
  const uint32_t period = Gemma4SizesOf(options).period;
  return layer % period != period - 1;
}

bool IsShared(const TinyModelOptions& options, uint32_t layer) {
  return layer >= options.n_layers - Gemma4SizesOf(options).n_shared;
}

uint32_t NetLength(const TinyModelOptions& options, uint32_t layer) {
  return options.n_ff * (IsShared(options, layer) ? 2 : 1);
}

// One row of values for each expert.
void AddExpertMatrix(const TinyModelOptions& options, const std::string& name, uint64_t n_cols,
                     uint64_t n_rows, WeightWriter& writer, GgufBuilder& builder) {
  const std::vector<uint64_t> shape =
      WeightWriter::Shape(n_cols, n_rows, uint64_t{options.n_experts});
  if (options.expert_type != 0) return writer.Quantised(name, shape, options.expert_type);
  builder.AddF32Tensor(name, shape, writer.DrawMatrix(n_cols, n_rows * options.n_experts));
}

void AddExperts(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd, n_ff = ExpertLength(options);
  for (const char* norm : {"post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2"})
    writer.Norm(prefix + norm + ".weight", n_embd);
  writer.Matrix(prefix + "ffn_gate_inp.weight", n_embd, options.n_experts);
  // Large enough that experts differ in their weights.
  std::vector<float> scale = writer.Draw(n_embd, 1.0f);
  for (float& value : scale) value += 8.0f;
  builder.AddF32Tensor(prefix + "ffn_gate_inp.scale", WeightWriter::Shape(n_embd), scale);
  if (options.has_split_experts) {
    AddExpertMatrix(options, prefix + "ffn_gate_exps.weight", n_embd, n_ff, writer, builder);
    AddExpertMatrix(options, prefix + "ffn_up_exps.weight", n_embd, n_ff, writer, builder);
  } else {
    AddExpertMatrix(options, prefix + "ffn_gate_up_exps.weight", n_embd, 2 * n_ff, writer, builder);
  }
  AddExpertMatrix(options, prefix + "ffn_down_exps.weight", n_ff, n_embd, writer, builder);
  std::vector<float> shares = writer.Draw(options.n_experts, 0.4f);
  for (float& value : shares) value += 1.0f;
  builder.AddF32Tensor(prefix + "ffn_down_exps.scale",
                       WeightWriter::Shape(uint64_t{options.n_experts}), shares);
}

void AddAttention(const TinyModelOptions& options, uint32_t layer, const std::string& prefix,
                  WeightWriter& writer, GgufBuilder& builder) {
  const Gemma4Sizes sizes = Gemma4SizesOf(options);
  const bool is_local = HasWindow(options, layer);
  const uint64_t head_dim = is_local ? sizes.head_dim : sizes.full_head_dim;
  const uint64_t kv_rows = head_dim * (is_local ? sizes.n_kv_heads : sizes.full_n_kv_heads);
  const uint64_t n_embd = options.n_embd;
  const uint32_t type = options.matrix_type;
  writer.Matrix(prefix + "attn_q.weight", n_embd, options.n_heads * head_dim, type);
  writer.Norm(prefix + "attn_q_norm.weight", head_dim);
  if (!IsShared(options, layer)) {
    writer.Matrix(prefix + "attn_k.weight", n_embd, kv_rows, type);
    // Scores are not scaled; trained weights keep them small.
    std::vector<float> norm = writer.Draw(head_dim, 0.03f);
    for (float& value : norm) value += 0.25f;
    builder.AddF32Tensor(prefix + "attn_k_norm.weight", WeightWriter::Shape(head_dim), norm);
    if (is_local || !options.is_large)
      writer.Matrix(prefix + "attn_v.weight", n_embd, kv_rows, type);
  }
  writer.Matrix(prefix + "attn_output.weight", options.n_heads * head_dim, n_embd, type);
}

}  // namespace

Gemma4Sizes Gemma4SizesOf(const TinyModelOptions& options) {
  Gemma4Sizes sizes = {};
  sizes.period = options.n_layers % 3 == 0 ? 3 : std::min(2u, options.n_layers);
  sizes.head_dim = static_cast<uint32_t>(HeadLength(options));
  sizes.n_kv_heads = options.n_kv_heads;
  sizes.full_head_dim = 2 * sizes.head_dim;
  sizes.full_n_kv_heads = options.is_large ? 1 : options.n_kv_heads;
  if (options.is_large) return sizes;
  sizes.n_input = options.matrix_type != 0 ? 256 : 20;
  if (options.n_layers % sizes.period == 0)
    sizes.n_shared = options.n_layers / sizes.period / 2 * sizes.period;
  return sizes;
}

// E2B and E4B tell the lengths of nets layer by layer, 26B-A4B and 31B the number of KV heads.
void AddGemma4Parameters(const TinyModelOptions& options, GgufBuilder& builder) {
  const std::string prefix = "gemma4.";
  const Gemma4Sizes sizes = Gemma4SizesOf(options);
  std::string windows;
  std::vector<int32_t> lengths, kv_heads;
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    const bool is_local = HasWindow(options, layer);
    windows += is_local ? '\1' : '\0';
    lengths.push_back(static_cast<int32_t>(NetLength(options, layer)));
    kv_heads.push_back(static_cast<int32_t>(is_local ? sizes.n_kv_heads : sizes.full_n_kv_heads));
  }
  constexpr uint32_t kBool = 7, kArray = 9;
  builder.AddRaw(prefix + "attention.sliding_window_pattern", kArray,
                 LittleEndian32(kBool) + LittleEndian64(windows.size()) + windows);
  if (sizes.n_shared != 0)
    builder.AddInt32Array(prefix + "feed_forward_length", lengths);
  else
    builder.AddUint32(prefix + "feed_forward_length", options.n_ff);
  if (options.is_large)
    builder.AddInt32Array(prefix + "attention.head_count_kv", kv_heads);
  else
    builder.AddUint32(prefix + "attention.head_count_kv", sizes.n_kv_heads);
  builder.AddUint32(prefix + "attention.key_length", sizes.full_head_dim)
      .AddUint32(prefix + "attention.value_length", sizes.full_head_dim)
      .AddUint32(prefix + "attention.key_length_swa", sizes.head_dim)
      .AddUint32(prefix + "attention.value_length_swa", sizes.head_dim)
      .AddUint32(prefix + "rope.dimension_count", sizes.full_head_dim)
      .AddUint32(prefix + "rope.dimension_count_swa",
                 options.rope_dimension != 0 ? options.rope_dimension : sizes.head_dim)
      .AddFloat32(prefix + "rope.freq_base_swa", 500.0f)
      .AddFloat32(prefix + "final_logit_softcapping", 8.0f)
      .AddUint32(prefix + "embedding_length_per_layer_input", sizes.n_input)
      .AddUint32(prefix + "attention.shared_kv_layers", sizes.n_shared);
}

void AddGemma4Tables(const TinyModelOptions& options, uint64_t n_vocab, WeightWriter& writer,
                     GgufBuilder& builder) {
  const Gemma4Sizes sizes = Gemma4SizesOf(options);
  // A quarter of each head is turned.
  std::vector<float> factors(sizes.full_head_dim / 2, 1e30f);
  std::fill_n(factors.begin(), std::max<size_t>(1, factors.size() / 4), 1.0f);
  builder.AddF32Tensor("rope_freqs.weight", WeightWriter::Shape(uint64_t{factors.size()}), factors);
  if (sizes.n_input == 0) return;
  const uint64_t n_inputs = uint64_t{sizes.n_input} * options.n_layers;
  writer.Matrix("per_layer_token_embd.weight", n_inputs, n_vocab, options.matrix_type);
  writer.Matrix("per_layer_model_proj.weight", options.n_embd, n_inputs, options.matrix_type);
  writer.Norm("per_layer_proj_norm.weight", sizes.n_input);
}

void AddGemma4Layer(const TinyModelOptions& options, uint32_t layer, WeightWriter& writer,
                    GgufBuilder& builder) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const uint64_t n_embd = options.n_embd, n_ff = NetLength(options, layer);
  const uint64_t n_input = Gemma4SizesOf(options).n_input;
  const uint32_t type = options.matrix_type;
  for (const char* norm : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
    writer.Norm(prefix + norm + ".weight", n_embd);
  AddAttention(options, layer, prefix, writer, builder);
  writer.Matrix(prefix + "ffn_gate.weight", n_embd, n_ff, type);
  writer.Matrix(prefix + "ffn_up.weight", n_embd, n_ff, type);
  writer.Matrix(prefix + "ffn_down.weight", n_ff, n_embd, type);
  if (options.n_experts != 0) AddExperts(options, prefix, writer, builder);
  if (n_input != 0) {
    writer.Matrix(prefix + "inp_gate.weight", n_embd, n_input, type);
    writer.Matrix(prefix + "proj.weight", n_input, n_embd, type);
    writer.Norm(prefix + "post_norm.weight", n_embd);
  }
  builder.AddF32Tensor(prefix + "layer_output_scale.weight", WeightWriter::Shape(uint64_t{1}),
                       std::vector<float>{0.9f - 0.1f * static_cast<float>(layer % 5)});
}

}  // namespace forge::testing
