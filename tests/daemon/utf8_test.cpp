#include "daemon/text/utf8.h"

#include <gtest/gtest.h>

namespace forge {
namespace {

TEST(Utf8Test, KeepsWhatIsValid) {
  for (const char* text : {"", "abc", "\u00e9", "\u20ac", "\U0001F600", "\uFFFD", "\U0010FFFF"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
    EXPECT_EQ(SanitizeUtf8(text), text);
  }
}

TEST(Utf8Test, ReplacesEachBrokenRunOnce) {
  struct Case {
    std::string text, clean;
  };
  const Case cases[] = {
      {"a\xff"
       "b",
       "a\uFFFD"
       "b"},
      {"\x80", "\uFFFD"},                      // continuation alone
      {"\xc3", "\uFFFD"},                      // cut short
      {"\xe2\x82", "\uFFFD"},                  // cut short: one character, one replacement
      {"\xe2\x82x", "\uFFFDx"},                // interrupted
      {"\xc0\xaf", "\uFFFD\uFFFD"},            // overlong
      {"\xe0\x80\xaf", "\uFFFD\uFFFD\uFFFD"},  // overlong
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},  // surrogate
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // past U+10FFFF
      {"\xf5", "\uFFFD"},
  };
  for (const Case& c : cases) {
    EXPECT_FALSE(IsValidUtf8(c.text));
    EXPECT_EQ(SanitizeUtf8(c.text), c.clean);
    EXPECT_TRUE(IsValidUtf8(SanitizeUtf8(c.text)));
  }
}

TEST(Utf8Test, CutsBetweenCharacters) {
  EXPECT_EQ(TruncateUtf8("abc", 3), "abc");
  EXPECT_EQ(TruncateUtf8("abc", 2), "ab");
  EXPECT_EQ(TruncateUtf8("a\u20ac", 3), "a");
  EXPECT_EQ(TruncateUtf8("\U0001F600", 3), "");
}

TEST(Utf8Test, FindsControlCharacters) {
  EXPECT_FALSE(HasControlCharacter("a b\u00e9"));
  for (const char* text : {"a\n", "\x7f", "\x1b[31m"}) EXPECT_TRUE(HasControlCharacter(text));
  EXPECT_TRUE(HasControlCharacter(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace forge
