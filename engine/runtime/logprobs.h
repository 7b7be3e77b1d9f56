#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/runtime/engine.h"

namespace forge {

// The token of the largest logit, the first of several. REQUIRES: not empty, none is NaN.
TokenId MostLikelyToken(std::span<const float> logits);

// The `n` most likely tokens, descending; equal ones by ascending id. Fewer if the vocabulary is
// smaller. `log_sum_exp` is that of `logits`.
std::vector<TokenLogprob> TopLogprobs(std::span<const float> logits, double log_sum_exp,
                                      uint32_t n);

}  // namespace forge
