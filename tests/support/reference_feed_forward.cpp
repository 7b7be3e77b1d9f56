// The feed-forward nets of the oracle, and how tokens choose experts.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>

#include "kernels/base/check.h"
#include "kernels/base/half.h"
#include "tests/support/reference_transformer.h"

namespace forge::testing {

namespace {

using Vector = std::vector<double>;

// By tanh, as Gemma's, StarCoder's and Phi's code has it ("gelu_pytorch_tanh", "gelu_new"), and for
// llama.cpp also Falcon and GPT-NeoX.
double ExactGelu(double x) {
  return 0.5 * x *
         (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double Rounded(double x) { return double{ToFloat(ToF16(static_cast<float>(x)))}; }

}  // namespace

double ReferenceTransformer::GeluOf(double x) const {
  if (gelu_ == Gelu::kExact) return ExactGelu(x);
  if (x <= -10.0) return 0.0;
  return x >= 10.0 ? x : Rounded(ExactGelu(Rounded(x)));
}

double ReferenceTransformer::Gate(double gate, double up) const {
  if (IsGemma()) return GeluOf(gate) * up;
  if (Is("gpt-oss")) {
    gate = std::min(gate, 7.0);
    up = std::clamp(up, -7.0, 7.0);
    return gate / (1.0 + std::exp(-1.702 * gate)) * (up + 1.0);
  }
  return gate / (1.0 + std::exp(-gate)) * up;
}

// What nets without a gate put in place of one.
double ReferenceTransformer::Activated(double x) const {
  if (Is("starcoder2") || Is("phi2") || Is("falcon") || Is("gptneox")) return GeluOf(x);
  FORGE_CHECK(Is("arcee") || Is("nemotron") || IsNemotronH(), family_);
  return std::max(x, 0.0) * std::max(x, 0.0);
}

Vector ReferenceTransformer::Ungated(const std::string& up, const std::string& down,
                                     const Vector& x) const {
  Vector ups = Product(up + ".weight", x);
  AddBias(up + ".bias", ups);
  for (double& value : ups) value = Activated(value);
  Vector y = Product(down + ".weight", ups);
  AddBias(down + ".bias", y);
  return y;
}

Vector ReferenceTransformer::Dense(const std::string& gate, const std::string& up,
                                   const std::string& down, const Vector& x) const {
  const bool is_ungated =
      !Has(gate + ".weight") && Weight(up + ".weight").n_rows == Weight(down + ".weight").n_cols;
  if (is_ungated) return Ungated(up, down, x);
  Vector gates, ups;
  if (Has(gate + ".weight")) {
    gates = Product(gate + ".weight", x);
    ups = Product(up + ".weight", x);
    AddBias(gate + ".bias", gates);
    AddBias(up + ".bias", ups);
  } else {  // gate above up in one matrix
    const uint64_t half = Weight(up + ".weight").n_rows / 2;
    gates = Product(up + ".weight", x, 0, half);
    ups = Product(up + ".weight", x, half, half);
    AddBias(up + ".bias", gates);
    AddBias(up + ".bias", ups, half);
  }
  for (size_t i = 0; i < gates.size(); ++i) gates[i] = Gate(gates[i], ups[i]);
  Vector y = Product(down + ".weight", gates);
  AddBias(down + ".bias", y);
  return y;
}

Vector ReferenceTransformer::Expert(const std::string& layer, uint64_t expert,
                                    const Vector& x) const {
  const std::string own = "." + std::to_string(expert);
  if (Has(layer + "ffn_gate" + own + ".weight"))
    return Dense(layer + "ffn_gate" + own, layer + "ffn_up" + own, layer + "ffn_down" + own, x);
  const auto product = [&](const std::string& matrix, const Vector& input) {
    const uint64_t n_rows = Weight(layer + matrix + ".weight").n_rows /
                            static_cast<uint64_t>(Number("expert_count", -1));
    Vector y = Product(layer + matrix + ".weight", input, expert * n_rows, n_rows);
    AddBias(layer + matrix + ".bias", y, expert * n_rows);
    return y;
  };
  if (IsNemotronH()) {
    Vector ups = product("ffn_up_exps", x);
    for (double& value : ups) value = Activated(value);
    return product("ffn_down_exps", ups);
  }
  Vector gates, ups;
  if (Has(layer + "ffn_gate_up_exps.weight")) {
    gates = product("ffn_gate_up_exps", x);
    const auto half = gates.begin() + static_cast<ptrdiff_t>(gates.size() / 2);
    ups.assign(half, gates.end());
    gates.erase(half, gates.end());
  } else {
    gates = product("ffn_gate_exps", x);
    ups = product("ffn_up_exps", x);
  }
  for (size_t i = 0; i < gates.size(); ++i) gates[i] = Gate(gates[i], ups[i]);
  return product("ffn_down_exps", gates);
}

// The sigmoid of each, or its share of all: what GLM's and DeepSeek's code calls scores.
Vector ReferenceTransformer::Scores(const Vector& logits) const {
  if (Number("expert_gating_func", IsNemotronH() ? 2 : 1) != 2) return Softmax(logits);
  Vector scores;
  for (const double logit : logits) scores.push_back(1.0 / (1.0 + std::exp(-logit)));
  return scores;
}

// Ling's and DeepSeek's topk_group of n_group groups, by the sums of the two best of each.
void ReferenceTransformer::LeaveGroupsOut(Vector& keys) const {
  const auto n_groups = static_cast<size_t>(Number("expert_group_count", 1));
  const size_t size = keys.size() / n_groups;
  std::vector<std::pair<double, size_t>> groups;
  for (size_t group = 0; group < n_groups; ++group) {
    const auto begin = keys.begin() + static_cast<ptrdiff_t>(group * size);
    Vector own(begin, begin + static_cast<ptrdiff_t>(size));
    std::ranges::sort(own, std::greater());
    groups.emplace_back(own[0] + own[1], group);
  }
  std::ranges::sort(groups, std::greater());
  const auto n_used = static_cast<size_t>(Number("expert_group_used_count", -1));
  for (size_t i = n_used; i < n_groups; ++i)
    for (size_t k = 0; k < size; ++k)
      keys[groups[i].second * size + k] = -std::numeric_limits<double>::infinity();
}

// The chosen experts and their weights.
std::vector<std::pair<uint64_t, double>> ReferenceTransformer::Route(const std::string& layer,
                                                                     const Vector& logits) const {
  const Vector scores = Scores(logits);
  const bool has_groups = Number("expert_group_count", 1) > 1;
  Vector keys = has_groups || Has(layer + "exp_probs_b.bias") ? scores : logits;
  AddBias(layer + "exp_probs_b.bias", keys);
  if (has_groups) LeaveGroupsOut(keys);
  std::vector<uint64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, [&](uint64_t a, uint64_t b) { return keys[a] > keys[b]; });
  order.resize(static_cast<size_t>(Number("expert_used_count", -1)));
  Vector weights;
  for (const uint64_t expert : order)
    weights.push_back(Is("gpt-oss") ? logits[expert] : scores[expert]);
  if (Is("gpt-oss")) weights = Softmax(weights);
  // norm_topk_prob is false there.
  const bool keeps_scores =
      Is("qwen2moe") || Is("olmoe") || Is("bailingmoe") || Is("deepseek2") || IsNemotronH();
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double divisor = Number("expert_weights_norm", keeps_scores ? 0 : 1) != 0 ? sum : 1.0;
  const double scale = Number("expert_weights_scale", 1.0);  // routed_scaling_factor
  std::vector<std::pair<uint64_t, double>> chosen;
  for (size_t i = 0; i < order.size(); ++i)
    chosen.emplace_back(order[i], weights[i] / divisor * scale);
  return chosen;
}

Vector ReferenceTransformer::Experts(const std::string& layer, const Vector& x) const {
  Vector logits = Product(layer + "ffn_gate_inp.weight", x);
  AddBias(layer + "ffn_gate_inp.bias", logits);
  Vector y(x.size());
  for (const auto& [expert, weight] : Route(layer, logits)) {
    const Vector one = Expert(layer, expert, x);
    for (size_t i = 0; i < y.size(); ++i) y[i] += weight * one[i];
  }
  if (!Has(layer + "ffn_up_shexp.weight")) return y;
  double share = 1.0;
  if (Has(layer + "ffn_gate_inp_shexp.weight")) {
    const std::vector<float>& direction = Weight(layer + "ffn_gate_inp_shexp.weight").values;
    double logit = 0.0;
    for (size_t i = 0; i < x.size(); ++i) logit += double{direction.at(i)} * x[i];
    share = 1.0 / (1.0 + std::exp(-logit));
  }
  const Vector shared =
      Dense(layer + "ffn_gate_shexp", layer + "ffn_up_shexp", layer + "ffn_down_shexp", x);
  for (size_t i = 0; i < y.size(); ++i) y[i] += share * shared[i];
  return y;
}

Vector ReferenceTransformer::FeedForward(const std::string& layer, const Vector& x) const {
  if (Has(layer + "ffn_gate_inp.weight")) return Experts(layer, x);
  return Dense(layer + "ffn_gate", layer + "ffn_up", layer + "ffn_down", x);
}

}  // namespace forge::testing
