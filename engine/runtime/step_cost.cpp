#include "engine/runtime/step_cost.h"

#include <algorithm>

namespace forge {
namespace {

// Some 30 steps count.
constexpr double kKept = 0.97;
constexpr double kMostSurprise = 3.0;
// A token more takes this share of a step, as far as steps of one size do not tell.
constexpr double kExpectedSlope = 0.1;
// How much that counts beside the variance of what was measured.
constexpr double kPrior = 0.25;

}  // namespace

void StepCost::Note(double n_tokens, double seconds) {
  // A step that took several times as long was held up by others, which says nothing of its size.
  if (is_known())
    seconds = std::min(seconds, kMostSurprise * std::max(SecondsOf(n_tokens), t_ / weight_));
  weight_ = weight_ * kKept + 1.0;
  n_ = n_ * kKept + n_tokens;
  t_ = t_ * kKept + seconds;
  nn_ = nn_ * kKept + n_tokens * n_tokens;
  nt_ = nt_ * kKept + n_tokens * seconds;
}

// Least squares, with the expected slope as one more measurement.
double StepCost::SecondsPerToken() const {
  const double n = n_ / weight_, t = t_ / weight_;
  const double variance = std::max(0.0, nn_ / weight_ - n * n);
  const double covariance = nt_ / weight_ - n * t;
  const double expected = kExpectedSlope * t / (1.0 + kExpectedSlope * (n - 1.0));
  return std::max(0.0, (covariance + kPrior * expected) / (variance + kPrior));
}

double StepCost::SecondsOf(double n_tokens) const {
  return t_ / weight_ + SecondsPerToken() * (n_tokens - n_ / weight_);
}

}  // namespace forge
