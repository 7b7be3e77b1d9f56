#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "kernels/base/check.h"

namespace forge {
namespace {

// The 95th percentile of Student's t for 1, 2, 3, ... degrees of freedom; beyond the table the
// normal distribution's is close enough.
constexpr double kStudent95[] = {6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860,
                                 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746,
                                 1.740, 1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711,
                                 1.708, 1.706, 1.703, 1.701, 1.699, 1.697};
constexpr double kNormal95 = 1.645;

double StudentOf(size_t degrees) {
  return degrees <= std::size(kStudent95) ? kStudent95[degrees - 1] : kNormal95;
}

}  // namespace

Summary Summarize(std::span<const double> values) {
  FORGE_CHECK(!values.empty(), "no values");
  Summary summary;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) summary.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  if (values.size() > 1) summary.deviation = std::sqrt(squares / (n - 1));
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  summary.min = *min;
  summary.max = *max;
  return summary;
}

RatioInterval PairedRatio(std::span<const double> ours, std::span<const double> theirs) {
  FORGE_CHECK(ours.size() == theirs.size() && !ours.empty(), std::to_string(ours.size()));
  std::vector<double> logs;
  for (size_t i = 0; i < ours.size(); ++i) logs.push_back(std::log(ours[i] / theirs[i]));
  const Summary summary = Summarize(logs);
  if (logs.size() == 1) return {std::exp(summary.mean), 0, std::numeric_limits<double>::infinity()};
  const double half =
      StudentOf(logs.size() - 1) * summary.deviation / std::sqrt(static_cast<double>(logs.size()));
  return {std::exp(summary.mean), std::exp(summary.mean - half), std::exp(summary.mean + half)};
}

}  // namespace forge
