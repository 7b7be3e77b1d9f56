#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceAttention(const float* q, const double* keys, const double* values, double scale,
                        double* y, const ReferenceAttentionShape& shape) {
  const int64_t group = shape.n_heads / shape.n_kv_heads;
  std::vector<double> weights(static_cast<size_t>(shape.n_positions));
  for (int64_t h = 0; h < shape.n_heads; ++h) {
    const int64_t kv_head = h / group;
    for (int64_t j = 0; j < shape.n_positions; ++j) {
      const double* key = keys + (j * shape.n_kv_heads + kv_head) * shape.head_dim;
      double dot = 0.0;
      for (int64_t d = 0; d < shape.head_dim; ++d)
        dot += static_cast<double>(q[h * shape.head_dim + d]) * key[d];
      weights[static_cast<size_t>(j)] = scale * dot;
    }
    const double greatest = *std::max_element(weights.begin(), weights.end());
    double total = 0.0;
    for (double& weight : weights) total += weight = std::exp(weight - greatest);
    double* out = y + h * shape.value_dim;
    std::fill(out, out + shape.value_dim, 0.0);
    for (int64_t j = 0; j < shape.n_positions; ++j) {
      const double* value = values + (j * shape.n_kv_heads + kv_head) * shape.value_dim;
      for (int64_t d = 0; d < shape.value_dim; ++d)
        out[d] += weights[static_cast<size_t>(j)] / total * value[d];
    }
  }
}

}  // namespace forge
