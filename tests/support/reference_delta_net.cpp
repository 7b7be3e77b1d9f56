// The gated delta net as Qwen 3 Next's authors compute it (torch_recurrent_gated_delta_rule of
// Hugging Face's modeling_qwen3_next.py), token by token, on the tensors of GGUF files.
#include <algorithm>
#include <cmath>

#include "kernels/base/check.h"
#include "tests/support/reference_transformer.h"

namespace forge::testing {
namespace {

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// A head of unit length.
std::vector<double> Direction(std::vector<double> x) {
  double squares = 1e-6;
  for (const double value : x) squares += value * value;
  for (double& value : x) value /= std::sqrt(squares);
  return x;
}

}  // namespace

// Each head's gate lies behind its query.
ReferenceTransformer::Vector ReferenceTransformer::TakeGates(Vector& queries) const {
  Vector alone, gates;
  for (auto head = queries.begin(); head != queries.end(); head += 2 * head_dim_) {
    alone.insert(alone.end(), head, head + head_dim_);
    gates.insert(gates.end(), head + head_dim_, head + 2 * head_dim_);
  }
  queries = alone;
  return gates;
}

// What one value head gives, before its norm.
ReferenceTransformer::Vector ReferenceTransformer::DeltaHead(const std::string& block, size_t head,
                                                             const Vector& x, const Vector& mixed,
                                                             std::vector<Vector>& state) const {
  const auto dim = static_cast<size_t>(Number("ssm.state_size", -1));
  const auto n_keys = static_cast<size_t>(Number("ssm.group_count", -1));
  const auto n_values = static_cast<size_t>(Number("ssm.time_step_rank", -1));
  const size_t n_of_key = n_values / n_keys;
  // Converters of Qwen 3.5 put the first value head of each key head first, then the second.
  const size_t key_head = Is("qwen3next") ? head / n_of_key : head % n_keys;
  const auto part = [&](size_t index) {
    const auto begin = mixed.begin() + static_cast<ptrdiff_t>(index * dim);
    return Vector(begin, begin + static_cast<ptrdiff_t>(dim));
  };
  const Vector query = Direction(part(key_head)), key = Direction(part(n_keys + key_head));
  const Vector value = part(2 * n_keys + head);
  double alpha, beta;
  if (Has(block + "ssm_ba.weight")) {
    const size_t first = head / n_of_key * 2 * n_of_key + head % n_of_key;
    beta = Product(block + "ssm_ba.weight", x, first, 1)[0];
    alpha = Product(block + "ssm_ba.weight", x, first + n_of_key, 1)[0];
  } else {
    beta = Product(block + "ssm_beta.weight", x, head, 1)[0];
    alpha = Product(block + "ssm_alpha.weight", x, head, 1)[0];
  }
  alpha += double{Weight(block + "ssm_dt.bias").values.at(head)};
  const double decay =
      std::exp(double{Weight(block + "ssm_a").values.at(head)} * std::log1p(std::exp(alpha)));
  if (state.empty()) state.assign(dim, Vector(dim));
  Vector y(dim);
  for (size_t v = 0; v < dim; ++v) {
    double known = 0.0;
    for (size_t k = 0; k < dim; ++k) known += (state[k][v] *= decay) * key[k];
    for (size_t k = 0; k < dim; ++k) {
      state[k][v] += key[k] * (value[v] - known) * Sigmoid(beta);
      y[v] += state[k][v] * query[k] / std::sqrt(static_cast<double>(dim));
    }
  }
  return y;
}

ReferenceTransformer::Vector ReferenceTransformer::DeltaNet(int layer, const Vector& x) {
  const std::string block = "blk." + std::to_string(layer) + ".";
  const auto dim = static_cast<size_t>(Number("ssm.state_size", -1));
  const auto n_heads = static_cast<size_t>(Number("ssm.time_step_rank", -1));
  FORGE_CHECK(Number("ssm.inner_size", -1) == static_cast<double>(n_heads * dim), block);
  Recurrent& recurrent = recurrent_[layer];
  recurrent.heads.resize(n_heads);
  recurrent.inputs.push_back(Product(block + "attn_qkv.weight", x));
  const Vector mixed = Silu(Convolved(block + "ssm_conv1d.weight", recurrent.inputs));
  const Vector gates = Product(block + "attn_gate.weight", x);
  Vector heads;
  for (size_t head = 0; head < n_heads; ++head)
    for (const double value :
         Norm(block + "ssm_norm.weight", DeltaHead(block, head, x, mixed, recurrent.heads[head])))
      heads.push_back(value);
  for (size_t i = 0; i < heads.size(); ++i) heads[i] *= gates[i] * Sigmoid(gates[i]);
  return Product(block + "ssm_out.weight", heads);
}

}  // namespace forge::testing
