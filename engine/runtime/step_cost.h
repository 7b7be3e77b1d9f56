#pragma once

namespace forge {

// What a step that generates takes by how many tokens it computes, as lately measured: about
// `base + slope * n_tokens`. The weights come from memory once for all tokens, so that the slope is
// small beside the base on a processor, and large with experts, of which more tokens need more.
// Not thread-safe.
class StepCost {
 public:
  // A step of `n_tokens` took `seconds`.
  void Note(double n_tokens, double seconds);
  // Whether anything was noted.
  bool is_known() const { return weight_ > 0.0; }
  // REQUIRES: is_known().
  double SecondsOf(double n_tokens) const;
  // What one token more takes; never less than 0.
  double SecondsPerToken() const;

 private:
  // Sums that forget: of the weights, and each value times its weight.
  double weight_ = 0.0, n_ = 0.0, t_ = 0.0, nn_ = 0.0, nt_ = 0.0;
};

}  // namespace forge
