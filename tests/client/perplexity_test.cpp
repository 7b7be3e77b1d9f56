#include "client/perplexity.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

namespace forge::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PerplexityTest, CutsWindowsAsLlamaCppDoes) {
  std::vector<int32_t> tokens(21);
  std::iota(tokens.begin(), tokens.end(), 100);
  const std::vector<PerplexityWindow> windows = CutWindows(tokens, 8, 1);
  ASSERT_EQ(windows.size(), 2u);  // five tokens are left over
  EXPECT_THAT(windows[0].tokens, ElementsAre(1, 101, 102, 103, 104, 105, 106, 107));
  EXPECT_THAT(windows[1].tokens, ElementsAre(1, 109, 110, 111, 112, 113, 114, 115));
  EXPECT_EQ(windows[1].first_counted, 5u);
  EXPECT_EQ(CutWindows(tokens, 8, std::nullopt)[1].tokens.front(), 108);
  EXPECT_THAT(CutWindows(tokens, 22, 1), IsEmpty());
}

TEST(PerplexityTest, IsTheExponentialOfTheMeanWithItsStandardError) {
  Perplexity perplexity;
  for (const double p : {0.5, 0.25, 0.5, 0.125}) perplexity.Add(std::log(p));
  EXPECT_EQ(perplexity.count(), 4u);
  EXPECT_NEAR(perplexity.Value(), std::exp2(7.0 / 4.0), 1e-12);
  // -log2 p is 1, 2, 1, 3: variance 11/16.
  const double deviation = std::log(2.0) * std::sqrt(11.0 / 16.0 / 3.0);
  EXPECT_NEAR(perplexity.StandardError(), deviation * perplexity.Value(), 1e-12);
}

}  // namespace
}  // namespace forge::client
