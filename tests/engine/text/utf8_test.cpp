#include "engine/text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace forge {
namespace {

using Kind = Utf8Step::Kind;

TEST(Utf8Test, DecodesEveryCodePointThatItAppends) {
  for (char32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
    if (code_point == 0xd800) code_point = 0xe000;
    std::string text;
    AppendUtf8(code_point, text);
    const Utf8Step step = DecodeUtf8(text, 0);
    ASSERT_EQ(step.kind, Kind::kCharacter) << uint32_t{code_point};
    ASSERT_TRUE(step.code_point == code_point);
    ASSERT_EQ(step.size, text.size());
    for (size_t cut = 1; cut < text.size(); ++cut) {
      const Utf8Step truncated = DecodeUtf8(std::string_view(text).substr(0, cut), 0);
      ASSERT_EQ(truncated.kind, Kind::kTruncated) << uint32_t{code_point};
      ASSERT_EQ(truncated.size, cut);
    }
  }
}

TEST(Utf8Test, GroupsInvalidBytesByMaximalSubpart) {
  struct Case {
    std::string_view bytes;
    Kind kind;
    int size;
  };
  const Case cases[] = {
      {"\x80", Kind::kInvalid, 1},              // a continuation alone
      {"\xc0\x80", Kind::kInvalid, 1},          // overlong
      {"\xc1\xbf", Kind::kInvalid, 1},          // overlong
      {"\xe0\x80\x80", Kind::kInvalid, 1},      // overlong
      {"\xed\xa0\x80", Kind::kInvalid, 1},      // a surrogate
      {"\xf0\x80\x80\x80", Kind::kInvalid, 1},  // overlong
      {"\xf4\x90\x80\x80", Kind::kInvalid, 1},  // above U+10FFFF
      {"\xf5\x80\x80\x80", Kind::kInvalid, 1},
      {"\xff", Kind::kInvalid, 1},
      {"\xc3 ", Kind::kInvalid, 1},
      {"\xe2\x82 ", Kind::kInvalid, 2},
      {"\xf0\x9f\x98 ", Kind::kInvalid, 3},
      {"\xe2\xe2\x82\xac", Kind::kInvalid, 1},
      {"\xed", Kind::kTruncated, 1},
      {"\xed\x9f", Kind::kTruncated, 2},
  };
  for (const Case& expected : cases) {
    const Utf8Step step = DecodeUtf8(expected.bytes, 0);
    EXPECT_EQ(step.kind, expected.kind) << ::testing::PrintToString(expected.bytes);
    EXPECT_EQ(step.size, expected.size) << ::testing::PrintToString(expected.bytes);
    EXPECT_TRUE(step.code_point == 0xfffd);
  }
}

TEST(Utf8Test, DecodesFromWithinText) {
  const Utf8Step step = DecodeUtf8("a\u00e9b", 1);
  EXPECT_TRUE(step.code_point == 0xe9);
  EXPECT_EQ(step.size, 2);
}

}  // namespace
}  // namespace forge
