#include "engine/text/characters.h"

#include <gtest/gtest.h>
#include <utf8proc.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>

#include "engine/text/utf8.h"

namespace forge {
namespace {

// What a function of utf8proc makes of a text; REQUIRES: it is UTF-8 without NUL.
std::string Reference(utf8proc_uint8_t* (*normalize)(const utf8proc_uint8_t*),
                      const std::string& text) {
  utf8proc_uint8_t* const normalized =
      normalize(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
  std::string result = reinterpret_cast<const char*>(normalized);
  std::free(normalized);
  return result;
}

std::string ReferenceNfc(const std::string& text) { return Reference(utf8proc_NFC, text); }

TEST(CharactersTest, ComposesAndOrders) {
  EXPECT_EQ(NormalizeNfc("e\u0301"), "\u00e9");
  EXPECT_EQ(NormalizeNfc("\u212b"), "\u00c5");               // the Angstrom sign
  EXPECT_EQ(NormalizeNfc("\u1100\u1161\u11a8"), "\uac01");   // Hangul
  EXPECT_EQ(NormalizeNfc("a\u0301\u0323"), "\u1ea1\u0301");  // reordered first
  EXPECT_EQ(NormalizeNfc("\ufb01"), "\ufb01");               // compatibility forms stay
  EXPECT_EQ(NormalizeNfc(""), "");
}

TEST(CharactersTest, DecomposesAndOrders) {
  EXPECT_EQ(NormalizeNfd("\u00e9"), "e\u0301");
  EXPECT_EQ(NormalizeNfd("\u1ea1\u0301"), "a\u0323\u0301");
  EXPECT_EQ(NormalizeNfd("a\u0301\u0323"), "a\u0323\u0301");  // reordered
  EXPECT_EQ(NormalizeNfd("\uac01"), "\u1100\u1161\u11a8");
  EXPECT_EQ(NormalizeNfd("\ufb01"), "\ufb01");  // compatibility forms stay
  EXPECT_EQ(NormalizeNfd("\u00e9\xff\u00e9\xc3"),
            "e\u0301\xff"
            "e\u0301\xc3");
}

TEST(CharactersTest, TellsMarksAndControlCharacters) {
  EXPECT_TRUE(IsNonspacingMark(0x301));
  EXPECT_FALSE(IsNonspacingMark(0x93f));  // it takes up space
  EXPECT_FALSE(IsNonspacingMark('a'));
  for (const char32_t c : {0x0, 0xa, 0x7f, 0x85, 0xad, 0x200b, 0xe000, 0xfeff})
    EXPECT_TRUE(IsControl(c)) << uint32_t{c};
  for (const char32_t c : {0x20, 0x41, 0xa0, 0x378, 0x2028, 0x4e2d})
    EXPECT_FALSE(IsControl(c)) << uint32_t{c};
}

TEST(CharactersTest, MakesLowerCase) {
  const auto lower = [](char32_t c) {
    std::string text;
    AppendLowerCase(c, text);
    return text;
  };
  EXPECT_EQ(lower('A'), "a");
  EXPECT_EQ(lower('1'), "1");
  EXPECT_EQ(lower(0xc9), "\u00e9");
  EXPECT_EQ(lower(0x3a3), "\u03c3");
  EXPECT_EQ(lower(0x1c5), "\u01c6");  // title case
  EXPECT_EQ(lower(0x10400), "\U00010428");
  EXPECT_EQ(lower(0x130), "i\u0307");
  EXPECT_EQ(lower(0xdf), "\u00df");
}

TEST(CharactersTest, NormalizesAroundInvalidBytes) {
  EXPECT_EQ(NormalizeNfc("e\u0301\xff"
                         "e\u0301\xc3"),
            "\u00e9\xff\u00e9\xc3");
  EXPECT_EQ(NormalizeNfc("e\xcc"), "e\xcc");
}

TEST(CharactersTest, AgreesWithUtf8procOnRandomText) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE(kSeed);
  constexpr char32_t kStarts[] = {'a',    'e',    ' ',    0xe9,   0x1eaf, 0x1100,  0x1161, 0x11a8,
                                  0xac00, 0x4e2d, 0x304b, 0x3099, 0x0301, 0x0323,  0x0327, 0x0f71,
                                  0x0f74, 0x0958, 0xf900, 0x212b, 0x2019, 0x1f600, 0x09c7, 0x09be};
  std::mt19937 random(kSeed);
  int n_certain = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    const size_t n_characters = random() % 6;
    for (size_t j = 0; j < n_characters; ++j) {
      const bool any = random() % 4 == 0;
      char32_t c = any ? random() % 0x10ffff + 1 : kStarts[random() % std::size(kStarts)];
      if (c >= 0xd800 && c < 0xe000) c = 'x';
      AppendUtf8(c, text);
    }
    ASSERT_EQ(NormalizeNfc(text), ReferenceNfc(text)) << ::testing::PrintToString(text);
    ASSERT_EQ(NormalizeNfd(text), Reference(utf8proc_NFD, text)) << ::testing::PrintToString(text);
    if (!IsCertainlyNfc(text)) continue;
    ++n_certain;
    ASSERT_EQ(ReferenceNfc(text), text) << ::testing::PrintToString(text);
  }
  EXPECT_GT(n_certain, 1000);
}

// The quick check answers yes for every single character that form C leaves alone and that never
// follows another in a composition; here: no character it passes may change beside any base.
TEST(CharactersTest, PassesNoCharacterThatChangesBesideALetter) {
  for (char32_t c = 1; c <= 0x10ffff; ++c) {
    if (c == 0xd800) c = 0xe000;
    for (const char32_t base : {U'a', U'\u304b', U'\u1100', U'\uac00', U'\u09c7'}) {
      std::string text;
      AppendUtf8(base, text);
      AppendUtf8(c, text);
      if (!IsCertainlyNfc(text)) continue;
      ASSERT_EQ(NormalizeNfc(text), text) << uint32_t{c};
    }
  }
}

TEST(CharactersTest, NormalizesLongRunsOfCombiningCharactersQuickly) {
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
  const auto start = std::chrono::steady_clock::now();
  const std::string normalized = NormalizeNfc(text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_TRUE(normalized.starts_with("\u1ea1\u0323"));
}

TEST(CharactersTest, ClassifiesCharacters) {
  EXPECT_EQ(CharAt("A", 0).classes, kLetter | kUpper);
  EXPECT_EQ(CharAt("\u00e9", 0).classes, kLetter | kLower);
  EXPECT_EQ(CharAt("\u4e2d", 0).classes, kLetter);
  EXPECT_EQ(CharAt("\u01c5", 0).classes, kLetter | kUpper);  // title case
  EXPECT_EQ(CharAt("\u0301", 0).classes, kMark);
  EXPECT_EQ(CharAt("\u00bd", 0).classes, kNumber);
  EXPECT_EQ(CharAt("\n", 0).classes, kSpace | kNewline);
  EXPECT_EQ(CharAt("\u3000", 0).classes, kSpace);
  EXPECT_EQ(CharAt("\u2014", 0).classes, kPunctuation);
  EXPECT_EQ(CharAt("`", 0).classes, kSymbol);
  EXPECT_EQ(CharAt("$", 0).classes, kPunctuation | kSymbol);
  EXPECT_EQ(CharAt("\u00a3", 0).classes, kSymbol);
  EXPECT_EQ(CharAt("7", 0).classes, kNumber | kDigit);
  EXPECT_EQ(CharAt("\u0663", 0).classes, kNumber | kDigit);
  EXPECT_EQ(CharAt("\xff", 0).classes, 0);
  EXPECT_EQ(CharAt("\xe2\x82", 0).size, 1);
  EXPECT_EQ(CharAt("x\U0001f600", 1).size, 4);
}

}  // namespace
}  // namespace forge
