#include "tests/support/tiny_recurrent.h"

#include <cmath>
#include <vector>

#include "tests/support/tiny_sizes.h"

namespace forge::testing {
namespace {

void AddDeltaParameters(const TinyModelOptions& options, const std::string& prefix,
                        GgufBuilder& builder) {
  const DeltaSizes sizes = DeltaSizesOf(options);
  const auto add = [&](const char* key, uint64_t value) {
    builder.AddUint32(prefix + key, static_cast<uint32_t>(value));
  };
  add("ssm.conv_kernel", sizes.n_taps);
  add("ssm.state_size", sizes.head_dim);
  add("ssm.group_count", sizes.n_key_heads);
  add("ssm.time_step_rank", sizes.n_value_heads);
  add("ssm.inner_size", sizes.n_value_heads * sizes.head_dim);
  add("full_attention_interval", sizes.period);
}

void AddStateSpaceParameters(const TinyModelOptions& options, const std::string& prefix,
                             GgufBuilder& builder) {
  const StateSpaceSizes sizes = StateSpaceSizesOf(options);
  const auto add = [&](const char* key, uint64_t value) {
    builder.AddUint32(prefix + key, static_cast<uint32_t>(value));
  };
  add("ssm.conv_kernel", sizes.n_taps);
  add("ssm.state_size", sizes.state_dim);
  add("ssm.group_count", sizes.n_groups);
  add("ssm.time_step_rank", sizes.n_heads);
  add("ssm.inner_size", sizes.n_rows);
  builder.AddBool(prefix + "rope.scaling.finetuned", false);
}

void AddTaps(const std::string& name, uint64_t n_taps, uint64_t n_channels, WeightWriter& writer,
             GgufBuilder& builder) {
  builder.AddF32Tensor(name, WeightWriter::Shape(n_taps, n_channels),
                       writer.Draw(n_taps * n_channels, 0.8f));
}

// From about a tenth to a hundredth of what was remembered is forgotten with each token.
std::vector<float> Decays(uint64_t n_heads, WeightWriter& writer) {
  std::vector<float> decays = writer.Draw(n_heads, 0.5f);
  for (float& value : decays) value = -0.1f * std::exp(value);
  return decays;
}

void AddDeltaNet(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                 GgufBuilder& builder) {
  const DeltaSizes sizes = DeltaSizesOf(options);
  const uint64_t n_heads = sizes.n_value_heads, n_values = n_heads * sizes.head_dim;
  const uint64_t n_channels = 2 * sizes.n_key_heads * sizes.head_dim + n_values;
  const uint64_t n_embd = options.n_embd;
  writer.Matrix(prefix + "attn_qkv.weight", n_embd, n_channels, options.matrix_type);
  writer.Matrix(prefix + "attn_gate.weight", n_embd, n_values, options.matrix_type);
  if (FamilyOf(options).has_fused_strengths) {
    writer.Matrix(prefix + "ssm_ba.weight", n_embd, 2 * n_heads, options.matrix_type);
  } else {
    writer.Matrix(prefix + "ssm_beta.weight", n_embd, n_heads, options.matrix_type);
    writer.Matrix(prefix + "ssm_alpha.weight", n_embd, n_heads, options.matrix_type);
  }
  AddTaps(prefix + "ssm_conv1d.weight", sizes.n_taps, n_channels, writer, builder);
  writer.Bias(prefix + "ssm_dt.bias", n_heads);
  builder.AddF32Tensor(prefix + "ssm_a", WeightWriter::Shape(n_heads), Decays(n_heads, writer));
  writer.Norm(prefix + "ssm_norm.weight", sizes.head_dim);
  writer.Matrix(prefix + "ssm_out.weight", n_values, n_embd, options.matrix_type);
}

void AddShortConv(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                  GgufBuilder& builder) {
  const uint64_t n_embd = options.n_embd;
  writer.Matrix(prefix + "shortconv.in_proj.weight", n_embd, 3 * n_embd, options.matrix_type);
  AddTaps(prefix + "shortconv.conv.weight", kShortConvTaps, n_embd, writer, builder);
  writer.Matrix(prefix + "shortconv.out_proj.weight", n_embd, n_embd, options.matrix_type);
}

void AddStateSpace(const TinyModelOptions& options, const std::string& prefix, WeightWriter& writer,
                   GgufBuilder& builder) {
  const StateSpaceSizes sizes = StateSpaceSizesOf(options);
  const uint64_t n_embd = options.n_embd, n_heads = sizes.n_heads;
  const uint64_t n_channels = sizes.n_rows + 2 * sizes.n_groups * sizes.state_dim;
  writer.Matrix(prefix + "ssm_in.weight", n_embd, sizes.n_rows + n_channels + n_heads,
                options.matrix_type);
  AddTaps(prefix + "ssm_conv1d.weight", sizes.n_taps, n_channels, writer, builder);
  writer.Bias(prefix + "ssm_conv1d.bias", n_channels);
  writer.Bias(prefix + "ssm_dt.bias", n_heads);
  builder.AddF32Tensor(prefix + "ssm_a", WeightWriter::Shape(uint64_t{1}, n_heads),
                       Decays(n_heads, writer));
  builder.AddF32Tensor(prefix + "ssm_d", WeightWriter::Shape(uint64_t{1}, n_heads),
                       writer.Draw(n_heads, 0.5f));
  writer.HeadNorms(prefix + "ssm_norm.weight", sizes.n_rows / sizes.n_groups, sizes.n_groups);
  writer.Matrix(prefix + "ssm_out.weight", sizes.n_rows, n_embd, options.matrix_type);
}

}  // namespace

void AddRecurrentParameters(const TinyModelOptions& options, const std::string& prefix,
                            GgufBuilder& builder) {
  const TinyFamily family = FamilyOf(options);
  if (family.is_hybrid) return AddDeltaParameters(options, prefix, builder);
  std::vector<int32_t> n_kv_heads, n_ff;
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    n_kv_heads.push_back(HasAttention(options, layer) ? static_cast<int32_t>(options.n_kv_heads)
                                                      : 0);
    n_ff.push_back(HasNet(options, layer) ? static_cast<int32_t>(options.n_ff) : 0);
  }
  builder.AddInt32Array(prefix + "attention.head_count_kv", n_kv_heads);
  if (family.has_single_parts)
    builder.AddInt32Array(prefix + "feed_forward_length", n_ff)
        .AddFloat32(prefix + "attention.layer_norm_epsilon", options.rms_epsilon);
  if (family.has_state_space) return AddStateSpaceParameters(options, prefix, builder);
  builder.AddUint32(prefix + "shortconv.l_cache", kShortConvTaps);
}

void AddRecurrentLayer(const TinyModelOptions& options, const std::string& prefix,
                       WeightWriter& writer, GgufBuilder& builder) {
  const TinyFamily family = FamilyOf(options);
  if (family.has_short_conv) return AddShortConv(options, prefix, writer, builder);
  if (family.has_state_space) return AddStateSpace(options, prefix, writer, builder);
  AddDeltaNet(options, prefix, writer, builder);
}

}  // namespace forge::testing
