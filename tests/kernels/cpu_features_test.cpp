#include "kernels/cpu/cpu_features.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

constexpr CpuLevel kLevels[] = {CpuLevel::kPortable, CpuLevel::kAvx2, CpuLevel::kAvx512,
                                CpuLevel::kAmx};

TEST(CpuFeaturesTest, ChoosesTheHighestLevelWhenNoneIsNamed) {
  EXPECT_EQ(ChooseCpuLevel("").value(), HighestCpuLevel());
}

TEST(CpuFeaturesTest, ChoosesALevelByNameUpToTheHighest) {
  for (const CpuLevel level : kLevels) {
    const Result<CpuLevel> chosen = ChooseCpuLevel(CpuLevelName(level));
    if (level <= HighestCpuLevel()) {
      ASSERT_TRUE(chosen.ok()) << chosen.status().ToString();
      EXPECT_EQ(*chosen, level);
    } else {
      EXPECT_EQ(chosen.status().code(), StatusCode::kFailedPrecondition);
    }
  }
}

TEST(CpuFeaturesTest, RefusesAnUnknownNameAndListsTheKnownOnes) {
  const Result<CpuLevel> chosen = ChooseCpuLevel("AVX512");
  ASSERT_EQ(chosen.status().code(), StatusCode::kInvalidArgument);
  for (const CpuLevel level : kLevels)
    EXPECT_NE(chosen.status().message().find(CpuLevelName(level)), std::string_view::npos)
        << CpuLevelName(level);
}

}  // namespace
}  // namespace forge
