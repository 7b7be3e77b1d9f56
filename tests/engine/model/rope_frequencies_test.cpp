#include "engine/model/rope_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace forge {
namespace {

constexpr float kTolerance = 1e-6f;  // relative; float32 keeps 6e-8

RopeConfig Config(uint32_t dimension = 32) {
  RopeConfig config;
  config.dimension = dimension;
  return config;
}

RopeConfig YarnConfig() {
  RopeConfig config = Config(128);
  config.scaling = RopeScaling::kYarn;
  config.factor = 4.0;
  config.original_context = 32768;
  return config;
}

RopeTable Compute(const RopeConfig& config, const std::vector<float>& factors = {}) {
  Result<RopeTable> table = ComputeRopeTable(config, factors);
  EXPECT_TRUE(table.ok()) << table.status().message();
  return table.ok() ? std::move(*table) : RopeTable();
}

void ExpectNear(float actual, double expected) {
  EXPECT_NEAR(actual, expected, std::abs(expected) * kTolerance);
}

TEST(RopeFrequenciesTest, FallGeometricallyFromOne) {
  const RopeTable table = Compute(Config());
  ASSERT_EQ(table.frequencies.size(), 16u);
  EXPECT_EQ(table.scale, 1.0f);
  EXPECT_EQ(table.frequencies[0], 1.0f);
  for (int i = 0; i < 16; ++i)
    ExpectNear(table.frequencies[static_cast<size_t>(i)], std::pow(10000.0, -i / 16.0));
}

TEST(RopeFrequenciesTest, DependOnTheRotaryWidthOnly) {
  const RopeTable table = Compute(Config(8));
  ASSERT_EQ(table.frequencies.size(), 4u);
  ExpectNear(table.frequencies[1], 0.1);
}

TEST(RopeFrequenciesTest, LinearScalingDividesAll) {
  RopeConfig config = Config();
  const RopeTable plain = Compute(config);
  config.scaling = RopeScaling::kLinear;
  config.factor = 2.0;
  const RopeTable scaled = Compute(config);
  EXPECT_EQ(scaled.scale, 1.0f);
  for (size_t i = 0; i < 16; ++i)
    EXPECT_EQ(scaled.frequencies[i], plain.frequencies[i] / 2.0f) << i;
}

TEST(RopeFrequenciesTest, FactorIsIgnoredWithoutScaling) {
  RopeConfig config = Config();
  config.factor = 8.0;
  EXPECT_EQ(Compute(config).frequencies, Compute(Config()).frequencies);
}

TEST(RopeFrequenciesTest, ModelFactorsDivideEach) {
  std::vector<float> factors(16);
  for (size_t i = 0; i < 16; ++i) factors[i] = 1.0f + static_cast<float>(i) / 4.0f;
  const RopeTable plain = Compute(Config()), divided = Compute(Config(), factors);
  for (size_t i = 0; i < 16; ++i)
    ExpectNear(divided.frequencies[i], double{plain.frequencies[i]} / double{factors[i]});
}

// Turns of a pair over the original context: context * theta / 2 pi.
TEST(RopeFrequenciesTest, YarnKeepsFastPairsAndInterpolatesSlowOnes) {
  const RopeConfig config = YarnConfig();
  RopeConfig unscaled = config;
  unscaled.scaling = RopeScaling::kNone;
  const RopeTable plain = Compute(unscaled), yarn = Compute(config);
  int n_kept = 0, n_interpolated = 0, n_between = 0;
  for (size_t i = 0; i < yarn.frequencies.size(); ++i) {
    const double theta = double{plain.frequencies[i]};
    const double turns = config.original_context * theta / (2.0 * std::numbers::pi);
    const double ratio = double{yarn.frequencies[i]} / theta;
    // One pair of leeway, since the borders are widened to whole pairs.
    const double step = std::pow(config.base, 2.0 / config.dimension);
    if (turns > config.yarn_beta_fast * step) {
      EXPECT_NEAR(ratio, 1.0, 1e-6) << i;
      ++n_kept;
    } else if (turns < config.yarn_beta_slow / step) {
      EXPECT_NEAR(ratio, 0.25, 1e-6) << i;
      ++n_interpolated;
    } else {
      EXPECT_GE(ratio, 0.25 - 1e-6) << i;
      EXPECT_LE(ratio, 1.0 + 1e-6) << i;
      ++n_between;
    }
    EXPECT_TRUE(i == 0 || yarn.frequencies[i] < yarn.frequencies[i - 1]) << i;
  }
  EXPECT_GT(n_kept, 10);
  EXPECT_GT(n_interpolated, 2);
  EXPECT_GT(n_between, 10);
}

// For dimension 128, base 10000 and context 32768 the borders are, since
// 64 ln(32768 / (32 * 2 pi)) / ln 10000 = 35.4 and 64 ln(32768 / (2 pi)) / ln 10000 = 59.5,
// the pairs 35 and 60.
TEST(RopeFrequenciesTest, YarnRampRunsLinearlyBetweenItsBorders) {
  RopeConfig unscaled = YarnConfig();
  unscaled.scaling = RopeScaling::kNone;
  const RopeTable plain = Compute(unscaled), yarn = Compute(YarnConfig());
  for (size_t i = 0; i < 64; ++i) {
    const double kept = i <= 35 ? 1.0 : i >= 60 ? 0.0 : 1.0 - (static_cast<double>(i) - 35) / 25;
    ExpectNear(yarn.frequencies[i], double{plain.frequencies[i]} * (kept + (1 - kept) / 4));
  }
}

TEST(RopeFrequenciesTest, YarnScalesMagnitudesByTheAttentionFactor) {
  RopeConfig config = YarnConfig();
  ExpectNear(Compute(config).scale, 1.0 + 0.1 * std::log(4.0));
  config.attn_factor = 0.5;
  ExpectNear(Compute(config).scale, 0.5 * (1.0 + 0.1 * std::log(4.0)));
  config.factor = 1.0;  // nothing is stretched
  ExpectNear(Compute(config).scale, 0.5);
}

TEST(RopeFrequenciesTest, ALogMultiplierUndoesYarnsMagnitude) {
  RopeConfig config = YarnConfig();
  const double growth = 0.1 * std::log(4.0);
  config.yarn_log_multiplier = 1.0;
  EXPECT_EQ(Compute(config).scale, 1.0f);
  config.yarn_log_multiplier = 0.5;
  ExpectNear(Compute(config).scale, (1.0 + growth) / (1.0 + growth / 2.0));
}

TEST(RopeFrequenciesTest, YarnWithoutExtrapolationIsLinear) {
  RopeConfig config = YarnConfig();
  config.yarn_ext_factor = 0.0;
  RopeConfig linear = config;
  linear.scaling = RopeScaling::kLinear;
  EXPECT_EQ(Compute(config).frequencies, Compute(linear).frequencies);
  EXPECT_EQ(Compute(config).scale, 1.0f);
}

TEST(RopeFrequenciesTest, RefusesWhatCannotRotate) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<RopeConfig> bad(9, YarnConfig());
  bad[0].dimension = 0;
  bad[1].dimension = 31;
  bad[2].base = 0.0;
  bad[3].base = kInfinity;
  bad[4].factor = 0.0;
  bad[5].factor = std::numeric_limits<double>::quiet_NaN();
  bad[6].original_context = 0;
  bad[7].base = 1.0;
  bad[8].yarn_log_multiplier = -1.0;
  for (size_t i = 0; i < bad.size(); ++i) {
    const Status status = ComputeRopeTable(bad[i], {}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << i;
    EXPECT_EQ(status.reason(), "MODEL_FILE_INVALID") << i;
  }
}

TEST(RopeFrequenciesTest, RefusesFactorsOfTheWrongNumberOrValue) {
  for (const std::vector<float>& factors :
       {std::vector<float>(15, 1.0f), std::vector<float>(17, 1.0f), std::vector<float>(16, 0.0f),
        std::vector<float>(16, -1.0f), std::vector<float>(16, NAN)})
    EXPECT_EQ(ComputeRopeTable(Config(), factors).status().reason(), "MODEL_FILE_INVALID");
}

}  // namespace
}  // namespace forge
