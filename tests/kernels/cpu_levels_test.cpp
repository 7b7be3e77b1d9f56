#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
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
using ::testing::UnorderedElementsAre;

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
// Of a format in the tables of its level.
size_t IndexAt(CpuLevel level, const MatmulFormat& format) {
  return static_cast<size_t>(format.kernels - MatmulKernelsAt(level).tiles[0]) / kTileTokens;
}

// AVX-VNNI's kernels on processors that lack it.
TEST_P(CpuLevelsTest, MultipliesToTheSameBitsWithAStandInForAvxVnni) {
  if (!HasCpuLevel(CpuLevel::kAvx2)) GTEST_SKIP() << "a processor without AVX2";
  const MatmulKernels& avx2 = MatmulKernelsAt(CpuLevel::kAvx2);
  const MatmulFormat format = FindMatmulFormat(shape_.dtype, kCols, CpuLevel::kAvx2);
  if (!format.is_quantized) return;  // not an instruction differs
  const size_t index = IndexAt(CpuLevel::kAvx2, format);
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

// Panels that unpack codes once beside those that unpack them again and again, of which a processor
// uses the one or the other.
TEST_P(CpuLevelsTest, MultipliesToTheSameBitsInBothPanelsOfAvx512) {
  if (!HasCpuLevel(CpuLevel::kAvx512)) GTEST_SKIP() << "a processor without AVX-512";
  const MatmulKernels& kernels = kMatmulKernelsAvx512;
  const MatmulFormat format = FindMatmulFormat(shape_.dtype, kCols, CpuLevel::kAvx512);
  if (!format.is_quantized) return;  // the same panel in both
  const size_t index = IndexAt(CpuLevel::kAvx512, format);
  constexpr int kTiles = kMaxTokens / kTileTokens, kGroups = 3;
  constexpr uint64_t kTileBytes =
      kTileTokens * (kCols / kActivationBlockColumns) * kActivationBytes;
  GuardedBytes tiles(kTiles * kTileBytes);
  for (int t = 0; t < kTiles * kTileTokens; ++t)
    kernels.quantize(x_.data() + t * kCols, kCols, t % kTileTokens, kTileTokens,
                     format.needs_digits, tiles.data() + t / kTileTokens * kTileBytes);
  for (const int n_groups : {1, 2, kGroups}) {
    alignas(64) float sums[2][kTiles * kTileTokens * kGroups * kCpuPackRows] = {};
    PanelArgs args = {.weights = packed_.data(),
                      .group_bytes = format.group_bytes,
                      .n_groups = n_groups,
                      .activations = tiles.data(),
                      .n_digits = 1,
                      .n_cols = kCols,
                      .n_tiles = kTiles,
                      .sums = sums[0]};
    kPanelsAvx512[index](args);
    args.sums = sums[1];
    kUnpackingPanelsAvx512[index](args);
    EXPECT_TRUE(std::equal(std::begin(sums[0]), std::end(sums[0]), sums[1])) << n_groups;
    EXPECT_NE(sums[1][0], 0.0f);
  }
}

// By what the system says of the processor.
TEST(PanelsOfAvx512Test, UnpackOnceOnIntel) {
  if (!HasCpuLevel(CpuLevel::kAvx512)) GTEST_SKIP() << "a processor without AVX-512";
  std::ifstream stream("/proc/cpuinfo");
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  const bool is_intel = text.find("GenuineIntel") != std::string::npos;
  const PanelTable& panels = *MatmulKernelsAt(CpuLevel::kAvx512).panels;
  EXPECT_EQ(&panels, is_intel ? &kUnpackingPanelsAvx512 : &kPanelsAvx512);
}

TEST(PanelsOfAvx512Test, UnpackOnceWhatHasItsBitsInOnePlace) {
  if (!HasCpuLevel(CpuLevel::kAvx512)) GTEST_SKIP() << "a processor without AVX-512";
  std::vector<std::string> differ;
  for (const FormatInfo& format : KnownFormats()) {
    const size_t index =
        IndexAt(CpuLevel::kAvx512, FindMatmulFormat(format.dtype, 512, CpuLevel::kAvx512));
    if (kPanelsAvx512[index] != kUnpackingPanelsAvx512[index]) differ.emplace_back(format.name);
  }
  EXPECT_THAT(differ, UnorderedElementsAre("Q4_0", "Q4_1", "Q2_K", "Q4_K", "IQ4_NL", "IQ4_XS",
                                           "TQ2_0", "MXFP4"));
}
#endif

INSTANTIATE_TEST_SUITE_P(Formats, CpuLevelsTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return std::string(format.param.name); });

}  // namespace
}  // namespace forge
