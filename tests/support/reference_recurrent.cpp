// Recurrent layers other than delta nets, token by token, on the tensors of GGUF files.
#include <algorithm>
#include <cmath>

#include "tests/support/reference_transformer.h"

namespace forge::testing {

// Qwen 3 Next's names or each n-th layer; of others those that have no KV heads.
bool ReferenceTransformer::IsRecurrent(int layer) const {
  const auto n_kv_heads = arrays_.find("attention.head_count_kv");
  if (Is("lfm2") || Is("lfm2moe") || Is("granitehybrid"))
    return n_kv_heads->second.at(static_cast<size_t>(layer)) == 0;
  if (!IsHybrid()) return false;
  const auto flags = arrays_.find("attention.recurrent_layers");
  if (flags != arrays_.end()) return flags->second.at(static_cast<size_t>(layer)) != 0;
  return (layer + 1) % static_cast<int>(Number("full_attention_interval", 4)) != 0;
}

ReferenceTransformer::Vector ReferenceTransformer::RunRecurrent(int layer, const Vector& x) {
  if (IsHybrid()) return DeltaNet(layer, x);
  return Is("granitehybrid") ? StateSpace(layer, x) : ShortConv(layer, x);
}

// NemotronHBlock of NVIDIA's modeling_nemotron_h.py, whose mixer is mamba, attention, mlp or moe.
void ReferenceTransformer::NemotronHBlock(int layer, Vector& x) {
  const auto number_of = [&](const char* key) {
    return arrays_.at(key).at(static_cast<size_t>(layer));
  };
  const std::string block = "blk." + std::to_string(layer) + ".";
  const Vector normed = Norm(block + "attn_norm.weight", x);
  const Vector y = number_of("feed_forward_length") != 0       ? FeedForward(block, normed)
                   : number_of("attention.head_count_kv") != 0 ? Attention(layer, normed)
                                                               : StateSpace(layer, normed);
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

ReferenceTransformer::Vector ReferenceTransformer::Silu(Vector x) {
  for (double& value : x) value /= 1.0 + std::exp(-value);
  return x;
}

// The last taps' inputs, the newest by the last weight.
ReferenceTransformer::Vector ReferenceTransformer::Convolved(
    const std::string& name, const std::vector<Vector>& inputs) const {
  const Tensor& weight = Weight(name);
  Vector y(inputs.back().size());
  for (size_t channel = 0; channel < y.size(); ++channel)
    for (size_t age = 0; age < std::min<size_t>(weight.n_cols, inputs.size()); ++age)
      y[channel] += double{weight.values.at((channel + 1) * weight.n_cols - 1 - age)} *
                    inputs[inputs.size() - 1 - age][channel];
  return y;
}

// Lfm2ShortConv of Hugging Face's modeling_lfm2.py: B, C and x of one projection.
ReferenceTransformer::Vector ReferenceTransformer::ShortConv(int layer, const Vector& x) {
  const std::string block = "blk." + std::to_string(layer) + ".shortconv.";
  const Vector projected = Product(block + "in_proj.weight", x);
  const size_t n = x.size();
  Vector input(n);
  for (size_t i = 0; i < n; ++i) input[i] = projected[i] * projected[2 * n + i];
  std::vector<Vector>& inputs = recurrent_[layer].inputs;
  inputs.push_back(input);
  Vector y = Convolved(block + "conv.weight", inputs);
  for (size_t i = 0; i < n; ++i) y[i] *= projected[n + i];
  return Product(block + "out_proj.weight", y);
}

// What one head of GraniteMoeHybridMambaLayer (torch_forward of modeling_granitemoehybrid.py) or of
// NemotronHMamba2Mixer gives: C S + D x, of S = exp(dt A) S + dt B x.
ReferenceTransformer::Vector ReferenceTransformer::StateSpaceHead(
    const std::string& block, size_t head, double step, const Vector& xbc,
    std::vector<Vector>& state) const {
  const auto n_heads = static_cast<size_t>(Number("ssm.time_step_rank", -1));
  const auto n_groups = static_cast<size_t>(Number("ssm.group_count", 1));
  const auto n_state = static_cast<size_t>(Number("ssm.state_size", -1));
  const auto n_rows = static_cast<size_t>(Number("ssm.inner_size", -1));
  const size_t dim = n_rows / n_heads, group = head / (n_heads / n_groups);
  const double* const x = &xbc.at(head * dim);
  const double* const b = &xbc.at(n_rows + group * n_state);
  const double* const c = &xbc.at(n_rows + (n_groups + group) * n_state);
  step = std::log1p(std::exp(step + double{Weight(block + "ssm_dt.bias").values.at(head)}));
  const double decay = std::exp(step * double{Weight(block + "ssm_a").values.at(head)});
  if (state.empty()) state.assign(n_state, Vector(dim));
  Vector y(dim);
  for (size_t i = 0; i < dim; ++i) {
    y[i] = double{Weight(block + "ssm_d").values.at(head)} * x[i];
    for (size_t k = 0; k < n_state; ++k) {
      state[k][i] = decay * state[k][i] + step * b[k] * x[i];
      y[i] += c[k] * state[k][i];
    }
  }
  return y;
}

ReferenceTransformer::Vector ReferenceTransformer::StateSpace(int layer, const Vector& x) {
  const std::string block = "blk." + std::to_string(layer) + ".";
  const auto n_heads = static_cast<size_t>(Number("ssm.time_step_rank", -1));
  const auto n_groups = static_cast<size_t>(Number("ssm.group_count", 1));
  const auto n_rows = static_cast<size_t>(Number("ssm.inner_size", -1));
  const Tensor& taps = Weight(block + "ssm_conv1d.weight");
  const std::string input = block + "ssm_in.weight";
  const Vector gates = Silu(Product(input, x, 0, n_rows));
  const Vector steps = Product(input, x, n_rows + taps.n_rows, n_heads);
  Recurrent& recurrent = recurrent_[layer];
  recurrent.heads.resize(n_heads);
  recurrent.inputs.push_back(Product(input, x, n_rows, taps.n_rows));
  Vector xbc = Convolved(block + "ssm_conv1d.weight", recurrent.inputs);
  AddBias(block + "ssm_conv1d.bias", xbc);
  xbc = Silu(xbc);
  Vector heads;
  for (size_t head = 0; head < n_heads; ++head)
    for (const double value : StateSpaceHead(block, head, steps[head], xbc, recurrent.heads[head]))
      heads.push_back(value * gates[heads.size()]);
  const auto size = static_cast<ptrdiff_t>(n_rows / n_groups);
  Vector normed;
  for (auto group = heads.begin(); group != heads.end(); group += size)
    for (const double value :
         Norm(block + "ssm_norm.weight", Vector(group, group + size), normed.size()))
      normed.push_back(value);
  return Product(block + "ssm_out.weight", normed);
}

}  // namespace forge::testing
