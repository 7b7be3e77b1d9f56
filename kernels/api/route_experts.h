#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// How a router's logits become weights of experts.
enum class ExpertGate {
  kSoftmaxThenTopK,  // the softmax over all experts, of which the chosen keep their share
  kTopKThenSoftmax,  // the softmax over the chosen experts alone
};

// Chooses the n_used experts with the highest logits of each token, ties to the lower index, and
// weighs them: weights = scale * (p / sum p if `normalize`, else p), with p by `gate`.
// Shazeer et al., arXiv:1701.06538.
//
// A NaN logit counts as the lowest, so that the chosen experts are valid and different whatever the
// logits are; where it enters a softmax, the token's weights are NaN.
struct RouteExpertsArgs {
  const float* logits = nullptr;  // [n_tokens, n_experts]
  int n_tokens = 0;
  int n_experts = 0;
  int n_used = 0;  // in [1, n_experts]
  ExpertGate gate = ExpertGate::kSoftmaxThenTopK;
  bool normalize = false;
  float scale = 1.0f;
  int32_t* experts = nullptr;  // [n_tokens, n_used], by falling logit
  float* weights = nullptr;    // [n_tokens, n_used]
};
Status Validate(const RouteExpertsArgs& args);

}  // namespace forge
