#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceRouteExperts(const float* logits, int64_t n_tokens, int64_t n_experts, int64_t n_used,
                           ExpertGate gate, bool normalize, double scale, int32_t* experts,
                           double* weights) {
  std::vector<int32_t> order(static_cast<size_t>(n_experts));
  for (int64_t t = 0; t < n_tokens; ++t) {
    const float* row = logits + t * n_experts;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [row](int32_t a, int32_t b) { return row[a] > row[b]; });
    const int64_t n_summed = gate == ExpertGate::kSoftmaxThenTopK ? n_experts : n_used;
    const double greatest = row[order[0]];
    double total = 0.0;
    for (int64_t i = 0; i < n_summed; ++i)
      total += std::exp(static_cast<double>(row[order[static_cast<size_t>(i)]]) - greatest);
    double sum = 0.0;
    for (int64_t k = 0; k < n_used; ++k) {
      const int32_t expert = order[static_cast<size_t>(k)];
      const double weight = std::exp(static_cast<double>(row[expert]) - greatest) / total;
      experts[t * n_used + k] = expert;
      weights[t * n_used + k] = weight;
      sum += weight;
    }
    for (int64_t k = 0; k < n_used; ++k) weights[t * n_used + k] *= scale / (normalize ? sum : 1.0);
  }
}

}  // namespace forge
