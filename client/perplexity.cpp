#include "client/perplexity.h"

#include <algorithm>
#include <cmath>

namespace forge::client {

std::vector<PerplexityWindow> CutWindows(const std::vector<int32_t>& tokens,
                                         uint32_t context_length, std::optional<int32_t> bos) {
  std::vector<PerplexityWindow> windows;
  for (size_t begin = 0; begin + context_length <= tokens.size(); begin += context_length) {
    const auto first = tokens.begin() + static_cast<ptrdiff_t>(begin);
    PerplexityWindow window = {{first, first + context_length}, context_length / 2 + 1};
    if (bos) window.tokens.front() = *bos;
    windows.push_back(std::move(window));
  }
  return windows;
}

void Perplexity::Add(double logprob) {
  ++count_;
  sum_ += logprob;
  sum_of_squares_ += logprob * logprob;
}

double Perplexity::Value() const { return std::exp(-MeanLogprob()); }

double Perplexity::StandardError() const {
  if (count_ < 2) return 0.0;
  const double n = static_cast<double>(count_);
  const double variance = sum_of_squares_ / n - MeanLogprob() * MeanLogprob();
  return Value() * std::sqrt(std::max(0.0, variance) / (n - 1.0));
}

}  // namespace forge::client
