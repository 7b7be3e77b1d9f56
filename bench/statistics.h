#pragma once

#include <span>

namespace forge {

struct Summary {
  double mean = 0;
  double deviation = 0;  // of the sample, n - 1; 0 for a single value
  double min = 0, max = 0;
};
// REQUIRES: at least one value.
Summary Summarize(std::span<const double> values);

// How much faster ours is than theirs: the geometric mean of the rounds' ratios, and the interval
// that holds the true one with a probability of 90 % (Student's t over the logarithms of the
// ratios, since what disturbs a round disturbs both sides of it).
struct RatioInterval {
  double ratio = 0;
  double low = 0, high = 0;  // for a single round: 0 and infinity
};
// REQUIRES: spans of the same size, at least 1, all values above 0.
RatioInterval PairedRatio(std::span<const double> ours, std::span<const double> theirs);

}  // namespace forge
