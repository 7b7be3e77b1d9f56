#include "engine/runtime/logprobs.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "kernels/base/log_sum_exp.h"

namespace forge {

Status NoNumbers(std::string_view what) {
  return DataLoss("the model computed " + std::string(what) +
                  " that are not numbers; its file is damaged")
      .WithReason("MODEL_FILE_INVALID");
}

float LogprobOf(float logit, double log_sum_exp) {
  return static_cast<float>(static_cast<double>(logit) - log_sum_exp);
}

TokenId MostLikelyToken(std::span<const float> logits) {
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), Maximum(logits)) -
                              logits.begin());
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
    top.push_back({*token, LogprobOf(logit(*token), log_sum_exp)});
  return top;
}

}  // namespace forge
