#include "kernels/cpu/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/matmul_kernels.h"

namespace forge {
namespace {

constexpr int64_t kCols = 128;

std::vector<float> RandomRow(float magnitude, unsigned seed = 7) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, magnitude);
  std::vector<float> row(kCols);
  for (float& value : row) value = normal(random);
  return row;
}

std::vector<CpuLevel> LevelsHere() {
  std::vector<CpuLevel> levels;
  for (const CpuLevel level : kCpuLevels)
    if (HasCpuLevel(level)) levels.push_back(level);
  return levels;
}

// The blocks of a tile of kTileTokens with `row` in one slot and zeros elsewhere, as the level
// rounds it.
std::vector<std::byte> Blocks(const std::vector<float>& row, CpuLevel level) {
  std::vector<std::byte> tile(kTileTokens * (kCols / kActivationBlockColumns) * kActivationBytes);
  MatmulKernelsAt(level).quantize(row.data(), kCols, /*token=*/5, kTileTokens,
                                  /*has_digits=*/false, tile.data());
  return tile;
}

// A tile of ordinary ones, then of all magnitudes, with special values and without.
std::vector<std::vector<float>> TestedRows() {
  std::vector<std::vector<float>> rows;
  for (unsigned seed = 0; seed < kTileTokens; ++seed)
    rows.push_back(RandomRow(static_cast<float>(seed + 1), seed));
  for (const float magnitude : {1.0f, 1e-20f, 1e-29f, 1e-38f, 0.0f, 1e20f, 1e38f})
    rows.push_back(RandomRow(magnitude));
  for (const float special : {std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    rows.push_back(RandomRow(1));
    rows.back()[40] = special;
  }
  rows.push_back(RandomRow(1));  // quotients that lie between two integers
  rows.back()[0] = 127;
  for (size_t i = 1; i < 32; ++i) rows.back()[i] = static_cast<float>(i) - 16.5f;
  return rows;
}

TEST(ActivationTest, IsRoundedAlikeAtEveryLevel) {
  const std::vector<std::vector<float>> rows = TestedRows();
  for (size_t i = 0; i < rows.size(); ++i)
    for (const CpuLevel level : LevelsHere())
      EXPECT_EQ(Blocks(rows[i], level), Blocks(rows[i], CpuLevel::kPortable))
          << "row " << i << ", " << CpuLevelName(level);
}

// Each tile has other rows beside each other, in other slots.
TEST(ActivationTest, IsRoundedInWholeTilesAsTokenByToken) {
  const std::vector<std::vector<float>> rows = TestedRows();
  for (const CpuLevel level : LevelsHere()) {
    const MatmulKernels& kernels = MatmulKernelsAt(level);
    if (kernels.quantize_tile == nullptr) continue;
    for (size_t first = 0; first < rows.size(); ++first) {
      std::vector<float> x;
      std::vector<std::byte> expected(kTileTokens * (kCols / kActivationBlockColumns) *
                                      kActivationBytes);
      std::vector<std::byte> tile = expected;
      for (int t = 0; t < kTileTokens; ++t) {
        const auto& row = rows[(first + static_cast<size_t>(t)) % rows.size()];
        kernels.quantize(row.data(), kCols, t, kTileTokens, false, expected.data());
        x.insert(x.end(), row.begin(), row.end());
      }
      kernels.quantize_tile(x.data(), kCols, kCols, tile.data());
      EXPECT_EQ(tile, expected) << "from row " << first << ", " << CpuLevelName(level);
    }
  }
}

TEST(ActivationTest, KeepsTheNearestOf255StepsAndTheSumsOfTheCodes) {
  const std::vector<float> row = RandomRow(3);
  for (const CpuLevel level : LevelsHere()) {
    const std::vector<std::byte> tile = Blocks(row, level);
    for (int64_t i = 0; i < kCols / 32; ++i) {
      const auto& block = ActivationTiles<kTileTokens>(tile.data(), kCols).Block(0, i);
      int32_t sums[2] = {0, 0};
      for (int k = 0; k < 32; ++k) {
        const int code = block.codes[5][k];
        EXPECT_LE(std::abs(row[static_cast<size_t>(32 * i + k)] -
                           block.scale[5] * static_cast<float>(code)),
                  0.501f * block.scale[5]);
        sums[k / 16] += code;
      }
      EXPECT_EQ(block.negative_half_sums[0][5], -sums[0]);
      EXPECT_EQ(block.negative_half_sums[1][5], -sums[1]);
      EXPECT_EQ(block.negative_sum[5], -sums[0] - sums[1]);
      EXPECT_FLOAT_EQ(block.scaled_sum[5], block.scale[5] * static_cast<float>(sums[0] + sums[1]));
    }
  }
}

}  // namespace
}  // namespace forge
