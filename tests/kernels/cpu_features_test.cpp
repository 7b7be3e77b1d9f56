#include "kernels/cpu/cpu_features.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

TEST(CpuFeaturesTest, ChoosesTheHighestLevelWhenNoneIsNamed) {
  EXPECT_EQ(ChooseCpuLevel("").value(), HighestCpuLevel());
}

TEST(CpuFeaturesTest, ChoosesALevelThatTheProcessorHas) {
  for (const CpuLevel level : kCpuLevels) {
    const Result<CpuLevel> chosen = ChooseCpuLevel(CpuLevelName(level));
    if (HasCpuLevel(level)) {
      ASSERT_TRUE(chosen.ok()) << chosen.status().ToString();
      EXPECT_EQ(*chosen, level);
    } else {
      EXPECT_EQ(chosen.status().code(), StatusCode::kFailedPrecondition);
    }
  }
}

TEST(CpuFeaturesTest, AlwaysHasPortableCodeAndTheHighestLevel) {
  EXPECT_TRUE(HasCpuLevel(CpuLevel::kPortable));
  EXPECT_TRUE(HasCpuLevel(HighestCpuLevel()));
  for (const CpuLevel level : kCpuLevels)
    EXPECT_FALSE(level > HighestCpuLevel() && HasCpuLevel(level)) << CpuLevelName(level);
}

TEST(CpuFeaturesTest, RefusesAnUnknownNameAndListsTheKnownOnes) {
  const Result<CpuLevel> chosen = ChooseCpuLevel("AVX512");
  ASSERT_EQ(chosen.status().code(), StatusCode::kInvalidArgument);
  for (const CpuLevel level : kCpuLevels)
    EXPECT_NE(chosen.status().message().find(CpuLevelName(level)), std::string_view::npos)
        << CpuLevelName(level);
}

}  // namespace
}  // namespace forge
