#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {
namespace {

// The sigmoid of each value, or its share of the softmax over all of them.
std::vector<double> Probabilities(const std::vector<double>& logits, ExpertGate gate) {
  std::vector<double> p;
  if (gate == ExpertGate::kSigmoid) {
    for (const double logit : logits) p.push_back(1.0 / (1.0 + std::exp(-logit)));
    return p;
  }
  const double greatest = *std::max_element(logits.begin(), logits.end());
  for (const double logit : logits) p.push_back(std::exp(logit - greatest));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= total;
  return p;
}

// The indices of the n greatest keys, ties to the lower index.
std::vector<size_t> Greatest(const std::vector<double>& keys, size_t n) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&keys](size_t a, size_t b) { return keys[a] > keys[b]; });
  order.resize(n);
  return order;
}

}  // namespace

void ReferenceRouteExperts(const RouteExpertsArgs& args, int32_t* experts, double* weights) {
  const auto n_used = static_cast<size_t>(args.n_used);
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const float* const row = args.logits + t * args.n_experts;
    const std::vector<double> logits(row, row + args.n_experts);
    std::vector<double> p = Probabilities(logits, args.gate);
    std::vector<double> keys = logits;
    if (args.selection_bias != nullptr)
      for (size_t i = 0; i < keys.size(); ++i) keys[i] = p[i] + double{args.selection_bias[i]};
    const std::vector<size_t> chosen = Greatest(keys, n_used);
    std::vector<double> chosen_p;
    for (const size_t expert : chosen)
      chosen_p.push_back(args.gate == ExpertGate::kTopKThenSoftmax ? logits[expert] : p[expert]);
    if (args.gate == ExpertGate::kTopKThenSoftmax) chosen_p = Probabilities(chosen_p, args.gate);
    const double sum = std::accumulate(chosen_p.begin(), chosen_p.end(), kLeastWeightSum);
    for (size_t k = 0; k < n_used; ++k) {
      experts[t * args.n_used + static_cast<int64_t>(k)] = static_cast<int32_t>(chosen[k]);
      weights[t * args.n_used + static_cast<int64_t>(k)] =
          double{args.scale} * chosen_p[k] / (args.normalize ? sum : 1.0);
    }
  }
}

}  // namespace forge
