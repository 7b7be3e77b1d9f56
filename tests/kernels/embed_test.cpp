#include "kernels/reference/embed.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::PackedMatrix;

class CpuEmbedTest : public ::testing::TestWithParam<FormatInfo> {
 protected:
  std::unique_ptr<ThreadPool> pool_ = ThreadPool::Create(2).value();
  CpuStream stream_{*pool_, HighestCpuLevel()};
};

TEST_P(CpuEmbedTest, ReturnsTheBitsOfTheFormat) {
  const uint32_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  constexpr int64_t kRows = 37;
  const int64_t dim = 3 * GetParam().block_elements;
  PackedMatrix table({GetParam().dtype, kRows, dim}, rng);
  const std::vector<int32_t> tokens = {0, 36, 15, 16, 31, 32, 7, 7};
  const int n_tokens = static_cast<int>(tokens.size());
  const auto n_values = tokens.size() * static_cast<size_t>(dim);
  GuardedBytes y(n_values * sizeof(float));
  ASSERT_TRUE(CpuEmbed({.table = table.view(),
                        .tokens = tokens.data(),
                        .y = reinterpret_cast<float*>(y.data()),
                        .n_tokens = n_tokens},
                       stream_)
                  .ok());
  std::vector<float> expected(n_values);
  ReferenceEmbed(GetParam().dtype, table.file_rows().data(), dim, tokens.data(), n_tokens,
                 expected.data());
  EXPECT_TRUE(y.IsIntact());
  for (size_t i = 0; i < n_values; ++i) {
    const float actual = reinterpret_cast<const float*>(y.data())[i];
    ASSERT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected[i]))
        << "value " << i << ": " << actual << " instead of " << expected[i];
  }
}

TEST_P(CpuEmbedTest, ScalesWhatItReturns) {
  const uint32_t seed = 13;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 rng(seed);
  const int64_t dim = 3 * GetParam().block_elements;
  PackedMatrix table({GetParam().dtype, 20, dim}, rng);
  const int32_t tokens[] = {19, 0, 7};
  const float scale = 45.254834f;  // sqrt(2048), as a gemma model has it
  const auto n_values = 3 * static_cast<size_t>(dim);
  GuardedBytes y(n_values * sizeof(float));
  ASSERT_TRUE(CpuEmbed({.table = table.view(),
                        .tokens = tokens,
                        .y = reinterpret_cast<float*>(y.data()),
                        .n_tokens = 3,
                        .scale = scale},
                       stream_)
                  .ok());
  EXPECT_TRUE(y.IsIntact());
  std::vector<float> expected(n_values);
  ReferenceEmbed(GetParam().dtype, table.file_rows().data(), dim, tokens, 3, expected.data());
  for (size_t i = 0; i < n_values; ++i)
    ASSERT_EQ(reinterpret_cast<const float*>(y.data())[i], expected[i] * scale) << i;
}

TEST_P(CpuEmbedTest, RefusesAScaleThatIsNotFinite) {
  std::mt19937 rng(14);
  PackedMatrix table({GetParam().dtype, 20, GetParam().block_elements}, rng);
  std::vector<float> y(GetParam().block_elements, 5.0f);
  const int32_t token = 0;
  const Status status = CpuEmbed(
      {.table = table.view(), .tokens = &token, .y = y.data(), .n_tokens = 1, .scale = NAN},
      stream_);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
}

TEST_P(CpuEmbedTest, RefusesTokensOutsideTheTable) {
  std::mt19937 rng(12);
  PackedMatrix table({GetParam().dtype, 20, GetParam().block_elements}, rng);
  std::vector<float> y(2 * GetParam().block_elements, 5.0f);
  for (const int32_t bad : {-1, 20, 31, 1 << 30}) {
    const int32_t tokens[] = {3, bad};
    const Status status =
        CpuEmbed({.table = table.view(), .tokens = tokens, .y = y.data(), .n_tokens = 2}, stream_);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(y, std::vector<float>(y.size(), 5.0f));
}

INSTANTIATE_TEST_SUITE_P(EveryFormat, CpuEmbedTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return std::string(format.param.name); });

}  // namespace
}  // namespace forge
