#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/matmul_tiling.h"
#include "kernels/cpu/pack.h"
#include "tests/kernels/avxvnni_stand_in.h"
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

#if defined(__x86_64__)
// AVX-VNNI's kernels on processors that lack it.
TEST_P(CpuLevelsTest, MultipliesToTheSameBitsWithAStandInForAvxVnni) {
  if (!HasCpuLevel(CpuLevel::kAvx2)) GTEST_SKIP() << "a processor without AVX2";
  const MatmulKernels& avx2 = MatmulKernelsAt(CpuLevel::kAvx2);
  const MatmulFormat format = FindMatmulFormat(shape_.dtype, kCols, CpuLevel::kAvx2);
  if (!format.is_quantized) return;  // not an instruction differs
  const auto index = static_cast<size_t>(format.kernels - avx2.tiles[0]) / kTileTokens;
  for (const int n_tokens : {1, kTileTokens}) {
    GuardedBytes tile(static_cast<uint64_t>(n_tokens * kCols / kActivationBlockColumns) *
                      kActivationBytes);
    for (int t = 0; t < n_tokens; ++t)
      avx2.quantize(x_.data() + t * kCols, kCols, t, n_tokens, format.needs_digits, tile.data());
    alignas(64) float sums[2][kTileTokens * kCpuPackRows] = {};
    TileArgs args = {.weights = packed_.data(),
                     .activations = tile.data(),
                     .activation_stride = 0,
                     .n_cols = kCols,
                     .n_tiles = 1,
                     .prefetch = false,
                     .sums = sums[0]};
    format.kernels[n_tokens - 1](args);
    args.sums = sums[1];
    testing::kMatmulKernelsAvxVnniStandIn.tiles[index][n_tokens - 1](args);
    EXPECT_TRUE(std::equal(std::begin(sums[0]), std::end(sums[0]), sums[1])) << n_tokens;
    EXPECT_NE(sums[1][0], 0.0f);
  }
}
#endif

INSTANTIATE_TEST_SUITE_P(Formats, CpuLevelsTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return std::string(format.param.name); });

}  // namespace
}  // namespace forge
