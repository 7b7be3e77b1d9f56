#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace forge::client {

// One stretch of a text that is scored on its own. The log-probabilities of tokens[first_counted]
// and the later ones count.
struct PerplexityWindow {
  std::vector<int32_t> tokens;
  size_t first_counted = 0;
};

// Cuts a text as llama.cpp's perplexity tool does: windows of `context_length` tokens, one after
// the other, what is left at the end is dropped. `bos`, if given, takes the place of each window's
// first token. Only the second half of a window counts, so that every token has context before it.
// REQUIRES: context_length >= 4.
std::vector<PerplexityWindow> CutWindows(const std::vector<int32_t>& tokens,
                                         uint32_t context_length, std::optional<int32_t> bos);

// Collects log-probabilities. Perplexity is exp(-mean); its standard error follows from the
// variance of the log-probabilities, to first order.
class Perplexity {
 public:
  void Add(double logprob);

  uint64_t count() const { return count_; }
  // REQUIRES, of all three: count() > 0.
  double MeanLogprob() const { return sum_ / static_cast<double>(count_); }
  double Value() const;
  double StandardError() const;  // 0 for one token

 private:
  uint64_t count_ = 0;
  double sum_ = 0.0;
  double sum_of_squares_ = 0.0;
};

}  // namespace forge::client
