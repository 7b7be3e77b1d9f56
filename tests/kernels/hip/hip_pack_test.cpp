#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/hip/pack.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::RandomWeights;

class HipPackTest : public ::testing::TestWithParam<FormatInfo> {
 protected:
  int64_t FileBytes(const WeightShape& shape) const {
    return shape.n_cols / GetParam().block_elements * GetParam().block_bytes;
  }
};

TEST_P(HipPackTest, TakesAsManyBytesARowAsTheFileFilledUpTo16) {
  for (const int64_t n_blocks : {1, 2, 3, 16, 17}) {
    const WeightShape shape = {GetParam().dtype, 5, n_blocks * GetParam().block_elements};
    const auto row_bytes = static_cast<uint64_t>((FileBytes(shape) + 15) / 16 * 16);
    EXPECT_EQ(HipPackedRowBytes(shape).value(), row_bytes);
    EXPECT_EQ(HipPackedWeightBytes(shape).value(), (5 * row_bytes + 63) / 64 * 64);
  }
}

TEST_P(HipPackTest, GivesTheSameBytesInOnePieceAndRowByRow) {
  std::mt19937 rng(1);
  const WeightShape shape = {GetParam().dtype, 7, 3 * GetParam().block_elements};
  const auto file_rows = RandomWeights(shape.dtype, shape.n_rows, shape.n_cols, rng);
  const uint64_t row_bytes = HipPackedRowBytes(shape).value();
  GuardedBytes at_once(7 * row_bytes);
  GuardedBytes by_row(7 * row_bytes);
  ASSERT_TRUE(HipPackRows(shape, 7, file_rows.data(), at_once.data()).ok());
  for (int64_t row = 6; row >= 0; --row)
    ASSERT_TRUE(HipPackRows(shape, 1, file_rows.data() + row * FileBytes(shape),
                            by_row.data() + static_cast<uint64_t>(row) * row_bytes)
                    .ok());
  EXPECT_EQ(0, std::memcmp(at_once.data(), by_row.data(), at_once.size()));
  EXPECT_TRUE(at_once.IsIntact() && by_row.IsIntact());
}

TEST_P(HipPackTest, RefusesMoreRowsThanThereAre) {
  const WeightShape shape = {GetParam().dtype, 2, GetParam().block_elements};
  const std::vector<std::byte> file_rows(static_cast<size_t>(3 * FileBytes(shape)));
  GuardedBytes packed(3 * HipPackedRowBytes(shape).value());
  for (const int64_t bad : {-1, 3})
    EXPECT_EQ(HipPackRows(shape, bad, file_rows.data(), packed.data()).code(),
              StatusCode::kInvalidArgument);
  EXPECT_TRUE(HipPackRows(shape, 0, file_rows.data(), packed.data()).ok());
}

INSTANTIATE_TEST_SUITE_P(EveryFormat, HipPackTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(HipPackShapeTest, RefusesShapesThatCannotBe) {
  const auto code = [](const WeightShape& shape) {
    return HipPackedWeightBytes(shape).status().code();
  };
  EXPECT_EQ(code({DType{15}, 16, 256}), StatusCode::kUnimplemented);
  EXPECT_EQ(code({Q4_K::kDType, 16, 255}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({Q4_K::kDType, 0, 256}), StatusCode::kInvalidArgument);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(code({F32Format::kDType, 1, kMost}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({F32Format::kDType, kMost, 1 << 20}), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace forge
