#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// How a router's logits become weights of experts.
enum class ExpertGate {
  kSoftmaxThenTopK,  // the softmax over all experts, of which the chosen keep their share
  kTopKThenSoftmax,  // the softmax over the chosen experts alone
  kSigmoid,          // the sigmoid of each expert's own logit
};

// Added to the sum that weights are divided by: sigmoids may all be next to 0. As in the code that
// DeepSeek-V3 and those after it were published with.
inline constexpr double kLeastWeightSum = 1e-20;

inline constexpr int kMaxExpertGroups = 32;

// Chooses n_used experts of each token, ties to the lower index, and weighs them:
//   weights = scale * (p / (sum p + kLeastWeightSum) if `normalize`, else p), with p by `gate`,
// of each expert times its own of expert_scales, where there are some.
// Chosen are those with the highest logits or, where there is a `selection_bias`, with the highest
// p + selection_bias, of which p alone is their weight. Where there are groups of experts that
// follow one another, only those of the n_groups_used groups with the highest sums of their two
// highest p + selection_bias are chosen from. Shazeer et al., arXiv:1701.06538; the bias: Wang et
// al., arXiv:2408.15664; the groups: DeepSeek-V3, arXiv:2412.19437.
//
// A NaN counts as the lowest, so that the chosen experts are valid and different whatever the
// logits and biases are; where it enters a softmax, the token's weights are NaN.
struct RouteExpertsArgs {
  const float* logits = nullptr;          // [n_tokens, n_experts]
  const float* selection_bias = nullptr;  // [n_experts], or null; not with kTopKThenSoftmax
  int n_tokens = 0;
  int n_experts = 0;
  int n_used = 0;         // in [1, n_experts]
  int n_groups = 1;       // 1: none; else of n_experts / n_groups >= 2, not with kTopKThenSoftmax
  int n_groups_used = 1;  // in [1, n_groups], with n_used experts in them
  ExpertGate gate = ExpertGate::kSoftmaxThenTopK;
  bool normalize = false;
  float scale = 1.0f;
  const float* expert_scales = nullptr;  // [n_experts], or null
  int32_t* experts = nullptr;  // [n_tokens, n_used], by falling logit, or p + selection_bias
  float* weights = nullptr;    // [n_tokens, n_used]
};
Status Validate(const RouteExpertsArgs& args);

}  // namespace forge
