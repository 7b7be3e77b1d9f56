#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack.h"
#include "tests/kernels/packed_matrix.h"

// Pairs of instruction sets whose kernels give the same bits.
namespace forge {
namespace {

using testing::GuardedBytes;

class CpuLevelsTest : public ::testing::TestWithParam<FormatInfo> {
 protected:
  static constexpr int64_t kRows = 40, kCols = 512;
  static constexpr int kMaxTokens = 33;

  CpuLevelsTest() : packed_(CpuPackedWeightBytes(shape_).value()) {
    std::mt19937 random(3);
    const auto rows = testing::RandomWeights(shape_.dtype, kRows, kCols, random);
    EXPECT_TRUE(CpuPackRows(shape_, 0, kRows, rows.data(), packed_.data()).ok());
    std::normal_distribution<float> normal;
    for (float& value : x_) value = normal(random);
  }

  std::vector<float> Multiply(CpuLevel level, int n_tokens) {
    const auto pool = ThreadPool::Create(2).value();
    CpuStream stream(*pool, level);
    std::vector<float> y(static_cast<size_t>(n_tokens * kRows));
    GuardedBytes workspace(CpuMatmulWorkspaceBytes(n_tokens, kCols));
    MatmulArgs args;
    args.x = x_.data();
    args.n_tokens = n_tokens;
    args.n_targets = 1;
    args.targets[0] = {{packed_.data(), shape_}, nullptr, nullptr, y.data()};
    args.workspace = {workspace.data(), workspace.size()};
    const Status status = CpuMatmul(args, stream);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return y;
  }

  const WeightShape shape_ = {GetParam().dtype, kRows, kCols};
  GuardedBytes packed_;
  std::vector<float> x_ = std::vector<float>(kMaxTokens * kCols);
};

TEST_P(CpuLevelsTest, MultipliesToTheSameBits) {
  bool has_pair = false;
  for (const auto& [one, other] : {std::pair(CpuLevel::kAvx2, CpuLevel::kAvxVnni),
                                   std::pair(CpuLevel::kAvx512, CpuLevel::kAmx)}) {
    if (!HasCpuLevel(other)) continue;
    has_pair = true;
    for (const int n_tokens : {1, 3, 8, 16, kMaxTokens})
      EXPECT_EQ(Multiply(one, n_tokens), Multiply(other, n_tokens))
          << CpuLevelName(other) << ", " << n_tokens << " tokens";
  }
  if (!has_pair) GTEST_SKIP() << "a processor without AVX-VNNI and AMX";
}

INSTANTIATE_TEST_SUITE_P(Formats, CpuLevelsTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return std::string(format.param.name); });

}  // namespace
}  // namespace forge
