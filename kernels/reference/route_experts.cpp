#include <algorithm>
#include <cmath>
#include <limits>
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

// Makes the keys of experts the lowest that are in none of the groups to choose from.
void LeaveGroupsOut(const RouteExpertsArgs& args, std::vector<double>& keys) {
  const auto n_groups = static_cast<size_t>(args.n_groups);
  const size_t size = keys.size() / n_groups;
  std::vector<double> sums;
  for (size_t group = 0; group < n_groups; ++group) {
    std::vector<double> own(keys.begin() + static_cast<int64_t>(group * size),
                            keys.begin() + static_cast<int64_t>((group + 1) * size));
    std::sort(own.rbegin(), own.rend());
    sums.push_back(own[0] + own[1]);
  }
  std::vector<bool> is_used(n_groups);
  for (const size_t group : Greatest(sums, static_cast<size_t>(args.n_groups_used)))
    is_used[group] = true;
  for (size_t i = 0; i < keys.size(); ++i)
    if (!is_used[i / size]) keys[i] = -std::numeric_limits<double>::infinity();
}

}  // namespace

void ReferenceRouteExperts(const RouteExpertsArgs& args, int32_t* experts, double* weights) {
  const auto n_used = static_cast<size_t>(args.n_used);
  for (int64_t t = 0; t < args.n_tokens; ++t) {
    const float* const row = args.logits + t * args.n_experts;
    const std::vector<double> logits(row, row + args.n_experts);
    const std::vector<double> p = Probabilities(logits, args.gate);
    std::vector<double> keys = logits;
    if (args.selection_bias != nullptr || args.n_groups > 1) keys = p;
    if (args.selection_bias != nullptr)
      for (size_t i = 0; i < keys.size(); ++i) keys[i] += double{args.selection_bias[i]};
    if (args.n_groups > 1) LeaveGroupsOut(args, keys);
    const std::vector<size_t> chosen = Greatest(keys, n_used);
    std::vector<double> chosen_p;
    for (const size_t expert : chosen)
      chosen_p.push_back(args.gate == ExpertGate::kTopKThenSoftmax ? logits[expert] : p[expert]);
    if (args.gate == ExpertGate::kTopKThenSoftmax) chosen_p = Probabilities(chosen_p, args.gate);
    const double sum = std::accumulate(chosen_p.begin(), chosen_p.end(), kLeastWeightSum);
    for (size_t k = 0; k < n_used; ++k) {
      experts[t * args.n_used + static_cast<int64_t>(k)] = static_cast<int32_t>(chosen[k]);
      weights[t * args.n_used + static_cast<int64_t>(k)] =
          double{args.scale} * chosen_p[k] / (args.normalize ? sum : 1.0) *
          (args.expert_scales == nullptr ? 1.0 : double{args.expert_scales[chosen[k]]});
    }
  }
}

}  // namespace forge
