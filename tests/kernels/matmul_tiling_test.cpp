#include "kernels/cpu/matmul_tiling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/cpu/cpu_features.h"
#include "kernels/formats/formats.h"

namespace forge {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::SizeIs;

// How often each of the groups from 3 to `end` comes; there must be `step` series of two groups,
// which are `step` apart.
std::vector<int> CountGroups(int64_t end, int64_t n_tokens, int64_t step) {
  const MatmulFormat format = {.kernels = nullptr,
                               .side_by_side_tokens = 2,
                               .panel = nullptr,
                               .prompt_panel = {},
                               .is_quantized = true,
                               .needs_digits = false,
                               .group_bytes = 0};
  std::vector<int> counts(static_cast<size_t>(end - 3));
  int64_t n_pairs = 0;
  ForEachSeries(format, n_tokens, 3, end, [&](const GroupSeries& groups) {
    EXPECT_EQ(groups.step, groups.n > 1 ? step : 0);
    n_pairs += groups.n == 2 ? 1 : 0;
    for (int g = 0; g < groups.n; ++g)
      ++counts.at(static_cast<size_t>(groups.first + g * groups.step - 3));
  });
  EXPECT_EQ(n_pairs, step);
  return counts;
}

TEST(GroupSeriesTest, HasEachGroupOnceHalfARangeApart) {
  for (const int64_t n : {1, 2, 3, 8, 9})
    EXPECT_THAT(CountGroups(3 + n, 2, n / 2), AllOf(SizeIs(n), Each(1))) << n;
}

TEST(GroupSeriesTest, IsOneGroupWithMoreTokens) {
  EXPECT_THAT(CountGroups(12, 3, 0), AllOf(SizeIs(9), Each(1)));
}

// Otherwise such weights are read at a fraction of what memory gives.
TEST(GroupSeriesTest, IsWhatOneTokenOfSmallBlocksTakes) {
  for (const CpuLevel level : {CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (!HasCpuLevel(level)) continue;
    for (const DType dtype : {F16Format::kDType, Q4_0::kDType, Q5_1::kDType, Q8_0::kDType})
      EXPECT_GE(FindMatmulFormat(dtype, 1024, level).side_by_side_tokens, 1)
          << CpuLevelName(level) << " " << static_cast<int>(dtype);
    EXPECT_EQ(FindMatmulFormat(Q6_K::kDType, 1024, level).side_by_side_tokens, 0);
  }
}

}  // namespace
}  // namespace forge
