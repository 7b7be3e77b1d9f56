// Latent attention as DeepSeek-V2's authors compute it (arXiv:2405.04434, section 2.1, and their
// modeling_deepseek.py): keys and values of every head, none of their matrices moved elsewhere.
#include <cmath>

#include "tests/support/reference_transformer.h"

namespace forge::testing {

// Newer files tell the lengths of the heads as trained under names of their own.
void ReferenceTransformer::ReadLatentSizes() {
  head_dim_ = static_cast<int>(Number("attention.key_length_mla", head_dim_));
  value_dim_ =
      static_cast<int>(Number("attention.value_length_mla", Number("attention.value_length", -1)));
  n_kv_heads_ = n_heads_;
  rank_ = static_cast<int>(Number("attention.kv_lora_rank", -1));
  n_turned_ = static_cast<int>(Number("rope.dimension_count", -1));
}

// softmax_scale; the files' number is 0.1 mscale_all_dim.
double ReferenceTransformer::LatentScale() const {
  double scale = 1.0 / std::sqrt(head_dim_);
  const auto type = texts_.find("rope.scaling.type");
  if (type == texts_.end() || type->second != "yarn") return scale;
  const double mscale_all_dim = 10.0 * Number("rope.scaling.yarn_log_multiplier", 0.0);
  const double mscale = 0.1 * mscale_all_dim * std::log(Number("rope.scaling.factor", 1.0)) + 1.0;
  scale *= mscale * mscale;
  return scale;
}

void ReferenceTransformer::TurnLastElements(Vector& x) const {
  const auto begin = x.end() - n_turned_;
  for (int i = 0; i < n_turned_ / 2; ++i) {
    double& a = *(begin + 2 * i);
    double& b = *(begin + 2 * i + 1);
    const double angle = position_ * global_.frequencies[static_cast<size_t>(i)];
    const double cosine = std::cos(angle) * global_.magnitude;
    const double sine = std::sin(angle) * global_.magnitude;
    const double turned = a * cosine - b * sine;
    b = a * sine + b * cosine;
    a = turned;
  }
}

ReferenceTransformer::Vector ReferenceTransformer::LatentQueries(const std::string& layer,
                                                                 const Vector& x) const {
  const Vector all =
      Has(layer + "attn_q.weight")
          ? Product(layer + "attn_q.weight", x)
          : Product(layer + "attn_q_b.weight",
                    Norm(layer + "attn_q_a_norm.weight", Product(layer + "attn_q_a.weight", x)));
  Vector queries;
  for (auto head = all.begin(); head != all.end(); head += head_dim_) {
    Vector one(head, head + head_dim_);
    TurnLastElements(one);
    queries.insert(queries.end(), one.begin(), one.end());
  }
  return queries;
}

// A newer file's matrix maps queries to the latent: it is that of keys, transposed.
ReferenceTransformer::Vector ReferenceTransformer::HeadKeys(const std::string& layer, int head,
                                                            const Vector& latent) const {
  const auto n_plain = static_cast<uint64_t>(head_dim_ - n_turned_);
  const auto n_values = static_cast<uint64_t>(value_dim_);
  const auto index = static_cast<uint64_t>(head);
  if (Has(layer + "attn_kv_b.weight"))
    return Product(layer + "attn_kv_b.weight", latent, index * (n_plain + n_values), n_plain);
  const std::vector<float>& values = Weight(layer + "attn_k_b.weight").values;
  Vector keys(n_plain);
  for (size_t j = 0; j < latent.size(); ++j)
    for (size_t i = 0; i < n_plain; ++i)
      keys[i] += double{values.at((index * latent.size() + j) * n_plain + i)} * latent[j];
  return keys;
}

ReferenceTransformer::Vector ReferenceTransformer::HeadValues(const std::string& layer, int head,
                                                              const Vector& latent) const {
  const auto n_plain = static_cast<uint64_t>(head_dim_ - n_turned_);
  const auto n_values = static_cast<uint64_t>(value_dim_);
  if (!Has(layer + "attn_kv_b.weight"))
    return Product(layer + "attn_v_b.weight", latent, static_cast<uint64_t>(head) * n_values,
                   n_values);
  const uint64_t first = static_cast<uint64_t>(head) * (n_plain + n_values) + n_plain;
  return Product(layer + "attn_kv_b.weight", latent, first, n_values);
}

std::pair<ReferenceTransformer::Vector, ReferenceTransformer::Vector>
ReferenceTransformer::LatentKeysAndValues(const std::string& layer, const Vector& x) const {
  Vector compressed = Product(layer + "attn_kv_a_mqa.weight", x);
  Vector turned(compressed.begin() + rank_, compressed.end());
  TurnLastElements(turned);
  compressed.resize(static_cast<size_t>(rank_));
  const Vector latent = Norm(layer + "attn_kv_a_norm.weight", compressed);
  Vector keys, values;
  for (int head = 0; head < n_heads_; ++head) {
    const Vector plain = HeadKeys(layer, head, latent), own = HeadValues(layer, head, latent);
    keys.insert(keys.end(), plain.begin(), plain.end());
    keys.insert(keys.end(), turned.begin(), turned.end());
    values.insert(values.end(), own.begin(), own.end());
  }
  return {keys, values};
}

}  // namespace forge::testing
