#include "kernels/cpu/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/cpu/pack_layout.h"
#include "tests/kernels/packed_matrix.h"

namespace forge {
namespace {

using testing::GuardedBytes;
using testing::RandomWeights;

std::string NameOf(const FormatInfo& format) { return std::string(format.name); }

class PackTest : public ::testing::TestWithParam<FormatInfo> {
 protected:
  static constexpr int64_t kCols = 512;
  WeightShape Shape(int64_t n_rows) const { return {GetParam().dtype, n_rows, kCols}; }
  int64_t FileBytes(int64_t n_rows) const {
    return n_rows * kCols / GetParam().block_elements * GetParam().block_bytes;
  }
};

TEST_P(PackTest, TakesAsManyBytesAsTheFileForWholeGroups) {
  EXPECT_EQ(CpuPackedWeightBytes(Shape(32)).value(), static_cast<uint64_t>(FileBytes(32)));
}

TEST_P(PackTest, FillsTheLastGroupAndRoundsTo64Bytes) {
  EXPECT_EQ(CpuPackedWeightBytes(Shape(1)).value(), static_cast<uint64_t>(FileBytes(16)));
  EXPECT_EQ(CpuPackedWeightBytes(Shape(33)).value(), static_cast<uint64_t>(FileBytes(48)));
  const WeightShape one_block = {GetParam().dtype, 1, GetParam().block_elements};
  EXPECT_EQ(CpuPackedWeightBytes(one_block).value() % 64, 0u);
}

TEST_P(PackTest, GivesTheSameBytesInOnePieceAndGroupByGroup) {
  constexpr int64_t kRows = 53;
  std::mt19937 rng(1);
  const auto file_rows = RandomWeights(GetParam().dtype, kRows, kCols, rng);
  const uint64_t bytes = CpuPackedWeightBytes(Shape(kRows)).value();
  GuardedBytes at_once(bytes);
  GuardedBytes in_pieces(bytes);
  ASSERT_TRUE(CpuPackRows(Shape(kRows), 0, kRows, file_rows.data(), at_once.data()).ok());
  for (const int64_t first : {48, 0, 32, 16}) {
    const int64_t n_rows = std::min<int64_t>(16, kRows - first);
    ASSERT_TRUE(CpuPackRows(Shape(kRows), first, n_rows, file_rows.data() + FileBytes(first),
                            in_pieces.data())
                    .ok());
  }
  EXPECT_EQ(0, std::memcmp(at_once.data(), in_pieces.data(), bytes));
  EXPECT_TRUE(at_once.IsIntact());
  EXPECT_TRUE(in_pieces.IsIntact());
}

TEST_P(PackTest, RefusesPartsOfGroups) {
  const std::vector<std::byte> file_rows(static_cast<size_t>(FileBytes(64)));
  GuardedBytes packed(CpuPackedWeightBytes(Shape(64)).value());
  struct {
    int64_t first, count;
  } const kBad[] = {{8, 16}, {0, 8}, {-16, 16}, {0, -16}, {0, 80}, {64, 16}, {80, 0}};
  for (const auto& [first, count] : kBad) {
    const Status status = CpuPackRows(Shape(64), first, count, file_rows.data(), packed.data());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << first << " + " << count;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryFormat, PackTest, ::testing::ValuesIn(KnownFormats()),
                         [](const auto& format) { return NameOf(format.param); });

TEST(PackShapeTest, RefusesAFormatWithoutKernels) {
  const auto bytes = CpuPackedWeightBytes({DType{15}, 16, 256});
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.status().code(), StatusCode::kUnimplemented);
  EXPECT_EQ(bytes.status().reason(), "ARCHITECTURE_UNSUPPORTED");
}

TEST(PackShapeTest, RefusesShapesThatAreNoMatrix) {
  constexpr int64_t kHuge = int64_t{1} << 40;
  const WeightShape bad[] = {
      {Q4_K::kDType, 0, 256},           {Q4_K::kDType, -1, 256}, {Q4_K::kDType, 16, 0},
      {Q4_K::kDType, 16, 128},          {Q8_0::kDType, 16, 33},  {Q8_0::kDType, kHuge, kHuge},
      {F32Format::kDType, INT64_MAX, 1}};
  for (const WeightShape& shape : bad) {
    EXPECT_EQ(CpuPackedWeightBytes(shape).status().code(), StatusCode::kInvalidArgument)
        << shape.n_rows << " x " << shape.n_cols;
  }
}

}  // namespace
}  // namespace forge
