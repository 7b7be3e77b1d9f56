#include "engine/runtime/draft_choice.h"

namespace forge {
namespace {

// Costs are measured among others' work: a guess so unlikely is not worth the doubt.
constexpr double kLeastProbability = 0.15;

}  // namespace

std::vector<size_t> ChooseDrafts(std::span<const Draft* const> drafts, size_t most,
                                 const StepCost& cost) {
  std::vector<size_t> lengths(drafts.size(), 0);
  if (!cost.is_known()) return lengths;
  // Of each draft: how likely it is right up to its next token.
  std::vector<double> chances;
  for (const Draft* draft : drafts)
    chances.push_back(draft->tokens.empty() ? 0.0 : draft->probabilities.front());
  const double slope = cost.SecondsPerToken();
  auto n_computed = static_cast<double>(drafts.size()), n_expected = n_computed;
  for (size_t n_drafted = 0; n_drafted < most; ++n_drafted) {
    size_t best = 0;
    for (size_t i = 1; i < chances.size(); ++i)
      if (chances[i] > chances[best]) best = i;
    if (chances.empty() || chances[best] < kLeastProbability) break;
    // (expected + chance) / (seconds + slope) > expected / seconds
    if (chances[best] * cost.SecondsOf(n_computed) <= n_expected * slope) break;
    n_expected += chances[best];
    n_computed += 1.0;
    const std::vector<double>& probabilities = drafts[best]->probabilities;
    const size_t next = ++lengths[best];
    chances[best] = next < probabilities.size() ? chances[best] * probabilities[next] : 0.0;
  }
  return lengths;
}

}  // namespace forge
