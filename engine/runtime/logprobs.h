#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/runtime/engine.h"

namespace forge {

// The model computed `what` that are no numbers: kDataLoss (reason MODEL_FILE_INVALID).
Status NoNumbers(std::string_view what);

// The log-probability of a logit, `log_sum_exp` being that of all logits.
float LogprobOf(float logit, double log_sum_exp);

// The token of the largest logit, the first of several. REQUIRES: not empty, none is NaN.
TokenId MostLikelyToken(std::span<const float> logits);

// The `n` most likely tokens, descending; equal ones by ascending id. Fewer if the vocabulary is
// smaller. `log_sum_exp` is that of `logits`.
std::vector<TokenLogprob> TopLogprobs(std::span<const float> logits, double log_sum_exp,
                                      uint32_t n);

}  // namespace forge
