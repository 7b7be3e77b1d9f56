#include "engine/runtime/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace forge {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LogprobsTest, SumsExponentialsWithoutOverflow) {
  EXPECT_NEAR(LogSumExp(std::vector<float>{std::log(0.25f), std::log(0.75f)}), 0.0, 1e-7);
  EXPECT_NEAR(LogSumExp(std::vector<float>{1000.0f, 1000.0f}), 1000.0 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector<float>{-1000.0f, -1000.0f}), -1000.0 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector<float>{0.0f, -kInfinity}), 0.0, 1e-12);
}

TEST(LogprobsTest, ShowsLogitsThatAreNoNumbers) {
  EXPECT_TRUE(std::isnan(
      LogSumExp(std::vector<float>{1.0f, std::numeric_limits<float>::quiet_NaN(), 2.0f})));
  EXPECT_FALSE(std::isfinite(LogSumExp(std::vector<float>{1.0f, kInfinity})));
  EXPECT_FALSE(std::isfinite(LogSumExp(std::vector<float>{-kInfinity, -kInfinity})));
}

TEST(LogprobsTest, ListsTheMostLikelyTokensInDescendingOrder) {
  const std::vector<float> logits = {1.0f, 4.0f, 2.0f, 4.0f, 3.0f};
  const double log_sum_exp = LogSumExp(logits);
  const std::vector<TokenLogprob> top = TopLogprobs(logits, log_sum_exp, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_EQ(top[2].token, 4);
  EXPECT_FLOAT_EQ(top[2].logprob, static_cast<float>(3.0 - log_sum_exp));
}

TEST(LogprobsTest, ListsNoMoreThanTheVocabularyHas) {
  const std::vector<float> logits = {1.0f, 2.0f};
  const std::vector<TokenLogprob> top = TopLogprobs(logits, LogSumExp(logits), 256);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_NEAR(std::exp(top[0].logprob) + std::exp(top[1].logprob), 1.0, 1e-6);
  EXPECT_TRUE(TopLogprobs(logits, LogSumExp(logits), 0).empty());
}

}  // namespace
}  // namespace forge
