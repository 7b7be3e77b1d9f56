#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceAttention(const float* q, const double* keys, const double* values, double scale,
                        double* y, const ReferenceAttentionShape& shape) {
  const int64_t group = shape.n_heads / shape.n_kv_heads;
  const int64_t first =
      shape.window == 0 ? 0 : std::max<int64_t>(0, shape.n_positions - shape.window);
  for (int64_t h = 0; h < shape.n_heads; ++h) {
    const int64_t kv_head = h / group;
    std::vector<double> weights;
    for (int64_t j = first; j < shape.n_positions; ++j) {
      const double* key = keys + (j * shape.n_kv_heads + kv_head) * shape.head_dim;
      double dot = 0.0;
      for (int64_t d = 0; d < shape.head_dim; ++d)
        dot += static_cast<double>(q[h * shape.head_dim + d]) * key[d];
      const double score = scale * dot;
      weights.push_back(shape.soft_cap == 0.0 ? score
                                              : shape.soft_cap * std::tanh(score / shape.soft_cap));
    }
    if (shape.sinks != nullptr) weights.push_back(shape.sinks[h]);
    const double greatest = *std::max_element(weights.begin(), weights.end());
    double total = 0.0;
    for (double& weight : weights) total += weight = std::exp(weight - greatest);
    double* out = y + h * shape.value_dim;
    std::fill(out, out + shape.value_dim, 0.0);
    for (int64_t j = first; j < shape.n_positions; ++j) {
      const double* value = values + (j * shape.n_kv_heads + kv_head) * shape.value_dim;
      for (int64_t d = 0; d < shape.value_dim; ++d)
        out[d] += weights[static_cast<size_t>(j - first)] / total * value[d];
    }
  }
}

}  // namespace forge
