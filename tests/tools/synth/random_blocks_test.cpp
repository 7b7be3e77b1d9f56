#include "tools/synth/random_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/formats/format.h"

namespace forge {
namespace {

constexpr float kDeviation = 0.02f;
constexpr uint64_t kBlocks = 4000;

std::vector<std::byte> RandomBytes(const FormatInfo& format, uint64_t seed) {
  const Result<RandomBlocks> blocks = RandomBlocks::Create(format, kDeviation);
  EXPECT_TRUE(blocks.ok()) << blocks.status().ToString();
  std::vector<std::byte> bytes(kBlocks * format.block_bytes);
  RandomStream random(seed);
  if (blocks.ok()) blocks->Fill(bytes, random);
  return bytes;
}

TEST(RandomBlocksTest, GivesTheValuesOfEveryFormatTheDeviationAskedFor) {
  for (const FormatInfo& format : KnownFormats()) {
    SCOPED_TRACE(format.name);
    const std::vector<std::byte> bytes = RandomBytes(format, 7);
    std::vector<float> values(kBlocks * format.block_elements);
    format.dequantize(bytes.data(), kBlocks, values.data());
    double sum = 0, squares = 0;
    for (const float value : values) {
      ASSERT_TRUE(std::isfinite(value));
      sum += value;
      squares += double{value} * value;
    }
    const auto n = static_cast<double>(values.size());
    // A scale that is a power of two can be off by the root of two.
    const double tolerance = format.name == "MXFP4" ? 0.42 : 0.06;
    EXPECT_NEAR(std::sqrt(squares / n) / kDeviation, 1.0, tolerance);
    EXPECT_LT(std::abs(sum / n), 0.05 * kDeviation);
  }
}

TEST(RandomBlocksTest, RepeatsWithTheSeedAndDiffersWithout) {
  for (const FormatInfo& format : KnownFormats()) {
    SCOPED_TRACE(format.name);
    EXPECT_EQ(RandomBytes(format, 1), RandomBytes(format, 1));
    EXPECT_NE(RandomBytes(format, 1), RandomBytes(format, 2));
  }
}

TEST(RandomBlocksTest, RefusesAFormatWhoseScalesItDoesNotKnow) {
  FormatInfo format = KnownFormats().front();
  format.dtype = DType{999};
  EXPECT_EQ(RandomBlocks::Create(format, kDeviation).status().code(), StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace forge
