#include "kernels/base/byte_text.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

TEST(ByteTextTest, HasThreeDigitsAndABinaryUnit) {
  EXPECT_EQ(ByteText(0), "0 B");
  EXPECT_EQ(ByteText(1023), "1023 B");
  EXPECT_EQ(ByteText(1024), "1.00 KiB");
  EXPECT_EQ(ByteText(117440512), "112 MiB");
  EXPECT_EQ(ByteText(uint64_t{3} << 29), "1.50 GiB");
  EXPECT_EQ(ByteText(1048575), "1.00 MiB") << "not 1024 KiB";
  EXPECT_EQ(ByteText(UINT64_MAX), "16777216 TiB");
}

}  // namespace
}  // namespace forge
