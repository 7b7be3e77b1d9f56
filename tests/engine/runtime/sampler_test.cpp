#include "engine/runtime/sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace forge {
namespace {

// Options that change nothing: a draw from the model's own distribution.
SamplingOptions Neutral() {
  SamplingOptions options;
  options.temperature = 1.0f;
  options.top_k = 0;
  options.top_p = 1.0f;
  options.min_p = 0.0f;
  return options;
}

std::vector<float> Log(std::vector<float> probabilities) {
  for (float& value : probabilities) value = std::log(value);
  return probabilities;
}

// How often each token comes out of `n` draws.
std::map<TokenId, int> Frequencies(const SamplingOptions& options, const std::vector<float>& logits,
                                   int n = 20000) {
  Sampler sampler(options, static_cast<uint32_t>(logits.size()));
  std::map<TokenId, int> counts;
  for (int i = 0; i < n; ++i) ++counts[sampler.Sample(logits, {})];
  return counts;
}

std::set<TokenId> Possible(const SamplingOptions& options, const std::vector<float>& logits) {
  std::set<TokenId> tokens;
  for (const auto& [token, count] : Frequencies(options, logits, 2000)) tokens.insert(token);
  return tokens;
}

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SamplerTest, TakesTheMostLikelyTokenAtTemperatureZeroAndTheLowestIdOfEquals) {
  SamplingOptions options = Neutral();
  options.temperature = 0.0f;
  EXPECT_EQ(Sampler(options, 4).Sample(std::vector<float>{0.0f, 3.0f, -1.0f, 2.0f}, {}), 1);
  EXPECT_EQ(Sampler(options, 4).Sample(std::vector<float>{1.0f, 3.0f, 3.0f, 2.0f}, {}), 1);
}

TEST(SamplerTest, TheGreatestLogitsDecideAsAllOfThemDo) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    SamplingOptions options;
    options.temperature = round % 5 == 0 ? 0.0f : 0.3f * static_cast<float>(round % 7 + 1);
    options.top_k = round % 40 + 1;
    options.top_p = round % 3 == 0 ? 1.0f : 0.8f;
    options.min_p = round % 4 == 0 ? 0.1f : 0.0f;
    options.typical_p = round % 6 == 0 ? 0.7f : 1.0f;
    options.seed = static_cast<uint64_t>(round);
    std::vector<float> logits(100);
    // Rounded, so that some are equal, and some tokens have no chance.
    for (float& logit : logits)
      logit = random() % 20 == 0 ? -std::numeric_limits<float>::infinity()
                                 : static_cast<float>(random() % 64) / 8.0f;
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto logit_of = [&](TokenId token) { return logits[static_cast<size_t>(token)]; };
    std::ranges::stable_sort(order, std::ranges::greater(), logit_of);
    Sampler of_all(options, 100), of_greatest(options, 100);
    ASSERT_EQ(of_greatest.n_deciding(),
              options.temperature == 0.0f ? 1u : static_cast<uint32_t>(options.top_k));
    order.resize(of_greatest.n_deciding() + 3);
    std::vector<float> greatest;
    for (const TokenId token : order) greatest.push_back(logit_of(token));
    for (int draw = 0; draw < 20; ++draw)
      ASSERT_EQ(of_greatest.SampleTop(greatest, order), of_all.Sample(logits, {})) << round;
  }
}

TEST(SamplerTest, AllLogitsDecideWhereOptionsMayLiftAnyToken) {
  SamplingOptions options;
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 40u);
  EXPECT_EQ(Sampler(options, 40).n_deciding(), 0u);  // no token is left out
  options.top_k = 0;
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 0u);
  options.temperature = 0.0f;
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 1u);
  options.presence_penalty = 0.5f;
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 0u);
  options.penalty_window = 0;
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 1u);
  options.logit_bias = {{3, 1.0f}};
  EXPECT_EQ(Sampler(options, 100).n_deciding(), 0u);
}

TEST(SamplerTest, DrawsFromTheModelsDistribution) {
  const std::vector<float> probabilities = {0.5f, 0.05f, 0.3f, 0.15f};
  constexpr int kDraws = 20000;
  std::map<TokenId, int> counts = Frequencies(Neutral(), Log(probabilities), kDraws);
  for (TokenId token = 0; token < 4; ++token) {
    const double p = probabilities[static_cast<size_t>(token)];
    // Five standard deviations of a binomial count.
    EXPECT_NEAR(counts[token], p * kDraws, 5.0 * std::sqrt(kDraws * p * (1.0 - p)))
        << "token " << token;
  }
}

TEST(SamplerTest, FlattensTheDistributionWithTemperature) {
  SamplingOptions options = Neutral();
  options.temperature = 2.0f;
  constexpr int kDraws = 20000;
  // exp(logit / 2): 0.9 : 0.1 becomes 3 : 1.
  std::map<TokenId, int> counts = Frequencies(options, Log({0.9f, 0.1f}), kDraws);
  EXPECT_NEAR(counts[0], 0.75 * kDraws, 5.0 * std::sqrt(kDraws * 0.75 * 0.25));
}

TEST(SamplerTest, KeepsTheTopK) {
  SamplingOptions options = Neutral();
  options.top_k = 2;
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(1, 3));
  options.top_k = 1;
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(3));
  options.top_k = 100;  // more than there are
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(0, 1, 2, 3));
  options.top_k = 2;  // of equals, the lower ids
  EXPECT_THAT(Possible(options, Log({0.1f, 0.3f, 0.3f, 0.3f})), ElementsAre(1, 2));
}

TEST(SamplerTest, KeepsTheSmallestSetThatReachesTopP) {
  SamplingOptions options = Neutral();
  options.top_p = 0.65f;
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(1, 3));
  options.top_p = 0.75f;
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(0, 1, 3));
  options.top_p = 1e-6f;  // one token always stays
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(3));
}

TEST(SamplerTest, TopPReachesItsMassInALargeFlatVocabulary) {
  SamplingOptions options = Neutral();
  options.top_p = 0.5f;
  constexpr uint32_t kTokens = 1000;
  // Equal probabilities: exactly the lower half of the ids is kept (0.5 is reached at 500).
  Sampler sampler(options, kTokens);
  const std::vector<float> logits(kTokens, 0.0f);
  TokenId highest = 0;
  for (int i = 0; i < 20000; ++i) highest = std::max(highest, sampler.Sample(logits, {}));
  EXPECT_NEAR(highest, 499, 2);
}

TEST(SamplerTest, KeepsWhatMinPAllows) {
  SamplingOptions options = Neutral();
  options.min_p = 0.6f;  // of 0.4: at least 0.24
  EXPECT_THAT(Possible(options, Log({0.2f, 0.3f, 0.1f, 0.4f})), ElementsAre(1, 3));
}

TEST(SamplerTest, KeepsTheTypicalTokensNotTheMostLikelyOnes) {
  SamplingOptions options = Neutral();
  options.typical_p = 0.25f;
  // Entropy is 1.83 nats, e^-1.83 = 0.16: the 0.15s are typical, 0.4 is not (-ln 0.4 = 0.92).
  const std::vector<float> logits = Log({0.4f, 0.15f, 0.15f, 0.1f, 0.1f, 0.05f, 0.05f});
  EXPECT_THAT(Possible(options, logits), ElementsAre(1, 2));
}

TEST(SamplerTest, AddsTheLogitBias) {
  SamplingOptions options = Neutral();
  options.temperature = 0.0f;
  options.logit_bias = {{2, 5.0f}, {1, -1.0f}};
  EXPECT_EQ(Sampler(options, 3).Sample(std::vector<float>{4.0f, 4.5f, 0.0f}, {}), 2);
}

TEST(SamplerTest, RepetitionPenaltyDividesPositiveAndMultipliesNegativeLogits) {
  SamplingOptions options = Neutral();
  options.temperature = 0.0f;
  options.repetition_penalty = 2.0f;
  const std::vector<TokenId> sequence = {0, 0};  // counted once, however often it came
  EXPECT_EQ(Sampler(options, 2).Sample(std::vector<float>{3.0f, 1.6f}, sequence), 1);
  EXPECT_EQ(Sampler(options, 2).Sample(std::vector<float>{3.0f, 1.4f}, sequence), 0);
  EXPECT_EQ(Sampler(options, 2).Sample(std::vector<float>{-1.0f, -1.9f}, sequence), 1);
  EXPECT_EQ(Sampler(options, 2).Sample(std::vector<float>{-1.0f, -2.1f}, sequence), 0);
}

TEST(SamplerTest, PresencePenaltyCountsOnceAndFrequencyPenaltyEachTime) {
  const std::vector<TokenId> sequence = {0, 0, 0};
  SamplingOptions presence = Neutral();
  presence.temperature = 0.0f;
  presence.presence_penalty = 1.0f;
  EXPECT_EQ(Sampler(presence, 2).Sample(std::vector<float>{3.0f, 1.9f}, sequence), 0);
  EXPECT_EQ(Sampler(presence, 2).Sample(std::vector<float>{3.0f, 2.1f}, sequence), 1);
  SamplingOptions frequency = Neutral();
  frequency.temperature = 0.0f;
  frequency.frequency_penalty = 1.0f;
  EXPECT_EQ(Sampler(frequency, 2).Sample(std::vector<float>{3.0f, -0.1f}, sequence), 0);
  EXPECT_EQ(Sampler(frequency, 2).Sample(std::vector<float>{3.0f, 0.1f}, sequence), 1);
}

TEST(SamplerTest, PenaltiesLookAtTheWindowOnly) {
  SamplingOptions options = Neutral();
  options.temperature = 0.0f;
  options.presence_penalty = 10.0f;
  const std::vector<float> logits = {3.0f, 1.0f, 2.0f};
  const std::vector<TokenId> sequence = {0, 2, 1, 1};
  options.penalty_window = 2;
  EXPECT_EQ(Sampler(options, 3).Sample(logits, sequence), 0);
  options.penalty_window = 3;
  EXPECT_EQ(Sampler(options, 3).Sample(logits, sequence), 0);
  options.penalty_window = -1;
  options.logit_bias = {{1, 0.5f}};
  EXPECT_EQ(Sampler(options, 3).Sample(logits, sequence), 0);  // all penalised alike
  options.penalty_window = 0;
  EXPECT_EQ(Sampler(options, 3).Sample(logits, sequence), 0);
  options.penalty_window = 4;
  options.logit_bias = {{0, -1.5f}};
  EXPECT_EQ(Sampler(options, 3).Sample(logits, sequence), 2);
}

TEST(SamplerTest, DoesNotCarryCountsFromOneTokenToTheNext) {
  SamplingOptions options = Neutral();
  options.temperature = 0.0f;
  options.frequency_penalty = 1.0f;
  Sampler sampler(options, 2);
  const std::vector<float> logits = {3.0f, 1.5f};
  const std::vector<TokenId> once = {0};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sampler.Sample(logits, once), 0) << "call " << i;
}

TEST(SamplerTest, TheSameSeedGivesTheSameTokensAndAnotherSeedDoesNot) {
  const std::vector<float> logits(50, 0.0f);
  const auto draw = [&](uint64_t seed) {
    SamplingOptions options = Neutral();
    options.seed = seed;
    Sampler sampler(options, 50);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 32; ++i) tokens.push_back(sampler.Sample(logits, {}));
    return tokens;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
  // Pinned: a text must not change with the compiler or the standard library.
  const std::vector<TokenId> tokens = draw(42);
  EXPECT_THAT(std::vector<TokenId>(tokens.begin(), tokens.begin() + 8),
              ElementsAre(29, 8, 8, 2, 49, 11, 13, 7));
}

TEST(SamplerTest, NeverDrawsATokenOfProbabilityZero) {
  const float kNever = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(Possible(Neutral(), {kNever, 0.0f, kNever, 0.0f, kNever}), ElementsAre(1, 3));
}

// Extreme, yet allowed: the arithmetic stays finite and the result sensible.
TEST(SamplerTest, SurvivesExtremeOptions) {
  SamplingOptions options = Neutral();
  options.temperature = std::numeric_limits<float>::denorm_min();
  options.repetition_penalty = std::numeric_limits<float>::denorm_min();
  options.frequency_penalty = std::numeric_limits<float>::max();
  options.penalty_window = -1;
  options.logit_bias = {{0, std::numeric_limits<float>::max()}};
  // The penalty multiplies token 1 beyond what float holds, and beyond any bias.
  const std::vector<TokenId> sequence = {1, 1};
  EXPECT_EQ(Sampler(options, 3).Sample(std::vector<float>{1.0f, 2.0f, 3.0f}, sequence), 1);
  options = Neutral();
  options.temperature = std::numeric_limits<float>::max();
  options.min_p = std::nextafter(1.0f, 0.0f);
  options.top_p = std::numeric_limits<float>::denorm_min();
  options.typical_p = std::nextafter(1.0f, 0.0f);
  EXPECT_EQ(Sampler(options, 3).Sample(std::vector<float>{1.0f, 2.0f, 30.0f}, {}), 2);
}

struct BadOption {
  const char* field;
  std::function<void(SamplingOptions&)> spoil;
};

class ValidateSamplingTest : public ::testing::TestWithParam<BadOption> {};

TEST_P(ValidateSamplingTest, NamesTheFieldThatIsOutOfRange) {
  SamplingOptions options;
  ASSERT_TRUE(ValidateSampling(options, 100).ok());
  GetParam().spoil(options);
  const Status status = ValidateSampling(options, 100);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "INVALID_REQUEST");
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().field));
  ASSERT_EQ(status.details().size(), 2u);
  EXPECT_EQ(status.details()[0].second, GetParam().field);
}

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Fields, ValidateSamplingTest,
    ::testing::Values(
        BadOption{"temperature", [](SamplingOptions& o) { o.temperature = kNan; }},
        BadOption{"temperature", [](SamplingOptions& o) { o.temperature = -0.1f; }},
        BadOption{"temperature", [](SamplingOptions& o) { o.temperature = kInfinity; }},
        BadOption{"top_k", [](SamplingOptions& o) { o.top_k = -1; }},
        BadOption{"top_p", [](SamplingOptions& o) { o.top_p = 0.0f; }},
        BadOption{"top_p", [](SamplingOptions& o) { o.top_p = 1.1f; }},
        BadOption{"top_p", [](SamplingOptions& o) { o.top_p = kNan; }},
        BadOption{"min_p", [](SamplingOptions& o) { o.min_p = -0.1f; }},
        BadOption{"min_p", [](SamplingOptions& o) { o.min_p = 1.0f; }},
        BadOption{"min_p", [](SamplingOptions& o) { o.min_p = kNan; }},
        BadOption{"typical_p", [](SamplingOptions& o) { o.typical_p = 0.0f; }},
        BadOption{"typical_p", [](SamplingOptions& o) { o.typical_p = kNan; }},
        BadOption{"repetition_penalty", [](SamplingOptions& o) { o.repetition_penalty = 0.0f; }},
        BadOption{"repetition_penalty", [](SamplingOptions& o) { o.repetition_penalty = kNan; }},
        BadOption{"presence_penalty", [](SamplingOptions& o) { o.presence_penalty = kInfinity; }},
        BadOption{"frequency_penalty", [](SamplingOptions& o) { o.frequency_penalty = kNan; }},
        BadOption{"penalty_window", [](SamplingOptions& o) { o.penalty_window = -2; }},
        BadOption{"logit_bias.token",
                  [](SamplingOptions& o) {
                    o.logit_bias = {{-1, 0.0f}};
                  }},
        BadOption{"logit_bias.token",
                  [](SamplingOptions& o) {
                    o.logit_bias = {{100, 0.0f}};
                  }},
        BadOption{"logit_bias.bias", [](SamplingOptions& o) {
                    o.logit_bias = {{1, kNan}};
                  }}));

TEST(SamplerMaskTest, ChoosesAmongTheAllowedTokensOnly) {
  const std::vector<float> logits = {9.0f, 3.0f, 8.0f, 2.0f};
  TokenMask allowed(4);
  allowed.Allow(1);
  allowed.Allow(3);
  SamplingOptions greedy;
  greedy.temperature = 0.0f;
  EXPECT_EQ(Sampler(greedy, 4).Sample(logits, {}, &allowed), 1);
  for (const int32_t top_k : {0, 1, 2, 4}) {
    SamplingOptions options;
    options.temperature = 5.0f;
    options.top_k = top_k;
    options.min_p = 0.0f;
    Sampler sampler(options, 4);
    for (int i = 0; i < 200; ++i) {
      const TokenId token = sampler.Sample(logits, {}, &allowed);
      EXPECT_TRUE(token == 1 || (token == 3 && top_k != 1)) << token;
    }
  }
}

TEST(SamplerMaskTest, TakesAnAllowedTokenThatTheModelGivesNoChance) {
  const float never = -std::numeric_limits<float>::infinity();
  TokenMask allowed(3);
  allowed.Allow(2);
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingOptions options;
    options.temperature = temperature;
    EXPECT_EQ(Sampler(options, 3).Sample(std::vector<float>{1.0f, 2.0f, never}, {}, &allowed), 2);
  }
}

}  // namespace
}  // namespace forge
