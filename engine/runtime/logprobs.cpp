#include "engine/runtime/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace forge {

double LogSumExp(std::span<const float> logits) {
  // exp(-50) times the largest vocabulary is below the rounding of the sum.
  constexpr double kNegligible = -50.0;
  double maximum = -std::numeric_limits<double>::infinity();
  for (const float logit : logits) {
    if (std::isnan(logit)) return std::numeric_limits<double>::quiet_NaN();
    maximum = std::max(maximum, static_cast<double>(logit));
  }
  if (!std::isfinite(maximum)) return maximum;
  double sum = 0.0;
  for (const float logit : logits) {
    const double distance = static_cast<double>(logit) - maximum;
    if (distance > kNegligible) sum += std::exp(distance);
  }
  return maximum + std::log(sum);
}

std::vector<TokenLogprob> TopLogprobs(std::span<const float> logits, double log_sum_exp,
                                      uint32_t n) {
  std::vector<TokenId> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const auto logit = [&](TokenId token) { return logits[static_cast<size_t>(token)]; };
  const auto end = tokens.begin() + static_cast<ptrdiff_t>(std::min<size_t>(n, tokens.size()));
  std::partial_sort(tokens.begin(), end, tokens.end(), [&](TokenId a, TokenId b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
  });
  std::vector<TokenLogprob> top;
  for (auto token = tokens.begin(); token != end; ++token)
    top.push_back({*token, static_cast<float>(static_cast<double>(logit(*token)) - log_sum_exp)});
  return top;
}

}  // namespace forge
