#include "engine/runtime/logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/base/log_sum_exp.h"

namespace forge {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LogprobsTest, SumsExponentialsWithoutOverflow) {
  EXPECT_NEAR(LogSumExp(std::vector<float>{std::log(0.25f), std::log(0.75f)}), 0.0, 1e-7);
  EXPECT_NEAR(LogSumExp(std::vector<float>{1000.0f, 1000.0f}), 1000.0 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector<float>{-1000.0f, -1000.0f}), -1000.0 + std::log(2.0), 1e-9);
  EXPECT_NEAR(LogSumExp(std::vector<float>{0.0f, -kInfinity}), 0.0, 1e-12);
}

// Sizes around those that the loops work in, and those of vocabularies.
constexpr size_t kSizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 100, 32000, 151936};

std::vector<float> RandomLogits(size_t n, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(-5.0f, deviation);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = distribution(random);
  return logits;
}

TEST(LogprobsTest, AgreesWithDoublePrecision) {
  for (const size_t n : kSizes)
    for (const float deviation : {0.0f, 0.1f, 3.0f, 30.0f, 1000.0f}) {
      const std::vector<float> logits = RandomLogits(n, deviation, static_cast<uint32_t>(n));
      const double maximum = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - maximum);
      EXPECT_NEAR(LogSumExp(logits), maximum + std::log(sum), 2e-7)
          << n << " logits of deviation " << deviation;
    }
}

TEST(LogprobsTest, FindsTheFirstOfTheMostLikelyTokens) {
  for (const size_t n : kSizes) {
    std::vector<float> logits = RandomLogits(n, 3.0f, 1);
    const auto largest = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(MostLikelyToken(logits), largest - logits.begin());
    logits.back() = *largest;
    EXPECT_EQ(MostLikelyToken(logits),
              std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  EXPECT_EQ(MostLikelyToken(std::vector<float>{-kInfinity, -3.0f, -kInfinity}), 1);
}

TEST(LogprobsTest, SeesANumberThatIsNoneInAnyPlace) {
  for (size_t i = 0; i < 50; ++i) {
    std::vector<float> logits = RandomLogits(50, 3.0f, 2);
    logits[i] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(LogSumExp(logits))) << i;
    logits[i] = -kInfinity;
    EXPECT_TRUE(std::isfinite(LogSumExp(logits))) << i;
  }
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
