#include "kernels/base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

// The value of a binary16 by its definition.
double Decode(uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(HalfTest, WidensEveryHalfExactlyAndRoundsItBack) {
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const F16 half = {static_cast<uint16_t>(bits)};
    const double want = Decode(half.bits);
    const float got = ToFloat(half);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
      ASSERT_TRUE(std::isnan(ToFloat(ToF16(got)))) << bits;
      continue;
    }
    ASSERT_EQ(static_cast<double>(got), want) << bits;
    ASSERT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
    ASSERT_EQ(ToF16(got).bits, bits);
  }
}

// The numbers where rounding decides: midway between neighbours, and one step to either side.
TEST(HalfTest, RoundsToNearestTiesToEvenAroundEveryMidpoint) {
  for (uint16_t bits = 0; bits < 0x7bff; ++bits) {
    const double below = Decode(bits), above = Decode(static_cast<uint16_t>(bits + 1));
    const float midpoint = static_cast<float>((below + above) / 2);
    const uint16_t even = static_cast<uint16_t>(bits + (bits & 1));
    ASSERT_EQ(ToF16(midpoint).bits, even) << bits;
    ASSERT_EQ(ToF16(std::nextafter(midpoint, -1.0f)).bits, bits);
    ASSERT_EQ(ToF16(std::nextafter(midpoint, INFINITY)).bits, bits + 1);
    ASSERT_EQ(ToF16(-midpoint).bits, even | 0x8000);
  }
  EXPECT_EQ(ToF16(65519.996f).bits, 0x7bff);  // the last number that is not rounded to infinity
  EXPECT_EQ(ToF16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(ToF16(INFINITY).bits, 0x7c00);
  EXPECT_EQ(ToF16(-INFINITY).bits, 0xfc00);
}

TEST(HalfTest, AgreesWithTheReferenceOnRandomFloats) {
  std::mt19937 random(5);
  for (int i = 0; i < 2'000'000; ++i) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isnan(value)) continue;
    const double want = ReferenceKvElement(value, KvDType::kF16);
    ASSERT_EQ(static_cast<double>(ToFloat(ToF16(value))), want) << value << ", seed 5";
  }
}

TEST(HalfTest, RoundsBf16ToNearestTiesToEven) {
  EXPECT_EQ(ToBf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(ToBf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // a tie goes to even
  EXPECT_EQ(ToBf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(ToBf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_EQ(ToBf16(std::bit_cast<float>(0x7f7fffffu)).bits, 0x7f80);  // past the largest: infinity
  EXPECT_TRUE(std::isnan(ToFloat(ToBf16(std::bit_cast<float>(0x7f800001u)))));
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float value = ToFloat(Bf16{static_cast<uint16_t>(bits)});
    if (std::isnan(value)) continue;
    ASSERT_EQ(ToBf16(value).bits, bits);
  }
}

}  // namespace
}  // namespace forge
