#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace forge {
namespace {

TEST(StatisticsTest, SummarizesWithTheDeviationOfASample) {
  const Summary summary = Summarize(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_DOUBLE_EQ(summary.mean, 5);
  EXPECT_NEAR(summary.deviation, 2.13809, 1e-5);
  EXPECT_EQ(summary.min, 2);
  EXPECT_EQ(summary.max, 9);
  EXPECT_EQ(Summarize(std::vector<double>{3}).deviation, 0);
}

TEST(StatisticsTest, TakesTheGeometricMeanOfTheRoundsRatios) {
  const RatioInterval ratio = PairedRatio(std::vector<double>{2, 8}, std::vector<double>{1, 1});
  EXPECT_NEAR(ratio.ratio, 4, 1e-12);
}

// Computed apart with the quantile 2.13185 of four degrees of freedom.
TEST(StatisticsTest, GivesStudentsIntervalOfTheLogarithms) {
  const RatioInterval ratio =
      PairedRatio(std::vector<double>{1.9, 2.1, 2.0, 2.2, 1.8}, std::vector<double>{1, 1, 1, 1, 1});
  EXPECT_NEAR(ratio.ratio, 1.99498, 1e-4);
  EXPECT_NEAR(ratio.low, 1.84969, 1e-4);
  EXPECT_NEAR(ratio.high, 2.15170, 1e-4);
}

TEST(StatisticsTest, IsNotMisledByRoundsThatWereSlowForBoth) {
  const RatioInterval ratio =
      PairedRatio(std::vector<double>{20, 2, 10}, std::vector<double>{10, 1, 5});
  EXPECT_NEAR(ratio.ratio, 2, 1e-12);
  EXPECT_NEAR(ratio.low, 2, 1e-9);
  EXPECT_NEAR(ratio.high, 2, 1e-9);
}

TEST(StatisticsTest, SaysNothingAboutTheIntervalOfOneRound) {
  const RatioInterval ratio = PairedRatio(std::vector<double>{3}, std::vector<double>{2});
  EXPECT_NEAR(ratio.ratio, 1.5, 1e-12);
  EXPECT_EQ(ratio.low, 0);
  EXPECT_TRUE(std::isinf(ratio.high));
}

}  // namespace
}  // namespace forge
