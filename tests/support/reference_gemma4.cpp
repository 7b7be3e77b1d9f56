// Gemma 4 of the oracle, after the code that it was published with.

#include <cmath>

#include "kernels/base/check.h"
#include "tests/support/reference_transformer.h"

namespace forge::testing {
namespace {

using Vector = std::vector<double>;

std::string BlockName(int layer) { return "blk." + std::to_string(layer) + "."; }

// Each part of `n` elements by itself, without weights.
void NormParts(size_t n, double epsilon, Vector& x) {
  for (size_t first = 0; first < x.size(); first += n) {
    double squares = 0.0;
    for (size_t i = first; i < first + n; ++i) squares += x[i] * x[i];
    const double root = std::sqrt(squares / static_cast<double>(n) + epsilon);
    for (size_t i = first; i < first + n; ++i) x[i] /= root;
  }
}

}  // namespace

// head_dim and global_head_dim.
int ReferenceTransformer::HeadDimOf(int layer) const {
  if (!Is("gemma4") || !SeesWindowOnly(layer)) return head_dim_;
  return static_cast<int>(Number("attention.key_length_swa", -1));
}

int ReferenceTransformer::KvHeadsOf(int layer) const {
  const auto counts = arrays_.find("attention.head_count_kv");
  if (counts == arrays_.end()) return n_kv_heads_;
  return static_cast<int>(counts->second[static_cast<size_t>(layer)]);
}

// The last num_kv_shared_layers layers take what the last one of the same type before them keeps.
int ReferenceTransformer::KvSourceOf(int layer) const {
  const int first_shared = n_layers_ - static_cast<int>(Number("attention.shared_kv_layers", 0));
  if (layer < first_shared) return layer;
  int source = first_shared - 1;
  while (SeesWindowOnly(source) != SeesWindowOnly(layer)) --source;
  return source;
}

Vector ReferenceTransformer::Gemma4Heads(int layer, const Vector& x) {
  const std::string block = BlockName(layer);
  const int head_dim = HeadDimOf(layer);
  const Rotation& rotation = SeesWindowOnly(layer) ? local_ : global_;
  Vector query = Product(block + "attn_q.weight", x);
  NormQueriesOrKeys(block + "attn_q_norm.weight", query);
  Rotate(rotation, head_dim, query);
  if (KvSourceOf(layer) == layer) {
    Vector key = Product(block + "attn_k.weight", x);
    // attention_k_eq_v
    Vector value = Has(block + "attn_v.weight") ? Product(block + "attn_v.weight", x) : key;
    NormQueriesOrKeys(block + "attn_k_norm.weight", key);
    NormParts(static_cast<size_t>(head_dim), epsilon_, value);
    Rotate(rotation, head_dim, key);
    keys_[static_cast<size_t>(layer)].push_back(key);
    values_[static_cast<size_t>(layer)].push_back(value);
  }
  return Product(block + "attn_output.weight", AttendHeads(layer, query));
}

// The experts, which the router chooses by the sum itself, normalised without weights.
Vector ReferenceTransformer::Gemma4Mixture(const std::string& block, const Vector& x) const {
  Vector direction = x;
  NormParts(direction.size(), epsilon_, direction);
  const std::vector<float>& scale = Weight(block + "ffn_gate_inp.scale").values;
  for (size_t i = 0; i < direction.size(); ++i)
    direction[i] *= double{scale.at(i)} / std::sqrt(n_embd_);
  const Vector taken = Norm(block + "pre_ffw_norm_2.weight", x);
  Vector y(x.size());
  for (const auto& [expert, weight] :
       Route(block, Product(block + "ffn_gate_inp.weight", direction))) {
    const double share =
        Has(block + "ffn_down_exps.scale")
            ? weight * double{Weight(block + "ffn_down_exps.scale").values.at(expert)}
            : weight;
    const Vector one = Expert(block, expert, taken);
    for (size_t i = 0; i < y.size(); ++i) y[i] += share * one[i];
  }
  return y;
}

Vector ReferenceTransformer::Gemma4Net(const std::string& block, const Vector& x) const {
  const Vector dense = Dense(block + "ffn_gate", block + "ffn_up", block + "ffn_down",
                             Norm(block + "ffn_norm.weight", x));
  if (!Has(block + "ffn_gate_inp.weight")) return dense;
  Vector y = Norm(block + "post_ffw_norm_1.weight", dense);
  const Vector mixed = Norm(block + "post_ffw_norm_2.weight", Gemma4Mixture(block, x));
  for (size_t i = 0; i < y.size(); ++i) y[i] += mixed[i];
  return y;
}

void ReferenceTransformer::Gemma4Block(int layer, const Vector& input, Vector& x) {
  const std::string block = BlockName(layer);
  const auto add = [&](const Vector& y, const std::string& norm) {
    const Vector normed = Norm(block + norm, y);
    for (size_t i = 0; i < x.size(); ++i) x[i] += normed[i];
  };
  add(Gemma4Heads(layer, Norm(block + "attn_norm.weight", x)), "post_attention_norm.weight");
  add(Gemma4Net(block, x), "post_ffw_norm.weight");
  if (!input.empty()) {
    Vector gate = Product(block + "inp_gate.weight", x);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = GeluOf(gate[i]) * input[i];
    add(Product(block + "proj.weight", gate), "post_norm.weight");
  }
  const std::string scale = block + "layer_output_scale.weight";
  if (!Has(scale)) return;
  for (double& value : x) value *= double{Weight(scale).values.at(0)};
}

std::vector<Vector> ReferenceTransformer::Gemma4Inputs(int32_t token,
                                                       const Vector& embedding) const {
  std::vector<Vector> inputs(static_cast<size_t>(n_layers_));
  const auto n = static_cast<size_t>(Number("embedding_length_per_layer_input", 0));
  if (n == 0) return inputs;
  const Tensor& table = Weight("per_layer_token_embd.weight");
  FORGE_CHECK(table.n_cols == n * inputs.size(), family_);
  const Vector products = Product("per_layer_model_proj.weight", embedding);
  for (size_t layer = 0; layer < inputs.size(); ++layer) {
    Vector product(n);
    for (size_t i = 0; i < n; ++i) product[i] = products[layer * n + i] / std::sqrt(n_embd_);
    inputs[layer] = Norm("per_layer_proj_norm.weight", product);
    const size_t row = static_cast<size_t>(token) * table.n_cols + layer * n;
    for (size_t i = 0; i < n; ++i)
      inputs[layer][i] = (inputs[layer][i] +
                          double{table.values.at(row + i)} * std::sqrt(static_cast<double>(n))) /
                         std::sqrt(2.0);
  }
  return inputs;
}

}  // namespace forge::testing
