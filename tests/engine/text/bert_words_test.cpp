#include "engine/text/bert_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace forge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr BertNormalization kUncased = {.lower_case = true, .strip_accents = true};
constexpr BertNormalization kCased = {.lower_case = false, .strip_accents = false};
constexpr BertNormalization kAccented = {.lower_case = true, .strip_accents = false};

std::vector<std::string> Words(std::string_view text, BertNormalization normalization = kUncased) {
  std::vector<std::string> words;
  ForEachBertWord(text, normalization, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(BertWordsTest, SplitsAtWhiteSpaceOfEveryKind) {
  EXPECT_THAT(Words(" a\tb\r\nc\u00a0d\u3000e\u2028f "), ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_THAT(Words(""), IsEmpty());
  EXPECT_THAT(Words(" \n\u2003"), IsEmpty());
}

TEST(BertWordsTest, MakesEachCharacterOfPunctuationAWord) {
  EXPECT_THAT(Words("don't!?"), ElementsAre("don", "'", "t", "!", "?"));
  EXPECT_THAT(Words("$1+`x`^~|<=>"),
              ElementsAre("$", "1", "+", "`", "x", "`", "^", "~", "|", "<", "=", ">"));
  EXPECT_THAT(Words("a\u2014b\u3002\u00bf"), ElementsAre("a", "\u2014", "b", "\u3002", "\u00bf"));
  // Symbols beyond ASCII are no punctuation.
  EXPECT_THAT(Words("5\u20ac\U0001f600x"), ElementsAre("5\u20ac\U0001f600x"));
}

TEST(BertWordsTest, MakesEachChineseCharacterAWord) {
  EXPECT_THAT(Words("a\u4e2d\u6587b"), ElementsAre("a", "\u4e2d", "\u6587", "b"));
  EXPECT_THAT(Words("\u3042\u30a2"), ElementsAre("\u3042\u30a2"));
  // A compatibility ideograph, which form D takes for another one.
  EXPECT_THAT(Words("a\uf900b"), ElementsAre("a", "\u8c48", "b"));
  EXPECT_THAT(Words("a\uf900b", kCased), ElementsAre("a", "\uf900", "b"));
}

TEST(BertWordsTest, LeavesOutControlCharacters) {
  EXPECT_THAT(Words(std::string_view("a\0b\x01\x7f"
                                     "c",
                                     6)),
              ElementsAre("abc"));
  EXPECT_THAT(Words("a\u200bb\u00adc\ufeffd\ue000e\ufffdf"), ElementsAre("abcdef"));
  // Control characters first, though Unicode has them for white space.
  EXPECT_THAT(Words("a\vb\fc\u0085d\x1c"
                    "e"),
              ElementsAre("abcde"));
}

TEST(BertWordsTest, LeavesOutBytesThatAreNotUtf8) {
  EXPECT_THAT(Words("a\xff"
                    "b\xe4\xb8"),
              ElementsAre("ab"));
  EXPECT_THAT(Words("\x80\xc0"), IsEmpty());
}

TEST(BertWordsTest, MakesLettersLowerCaseWhereAsked) {
  EXPECT_THAT(Words("HeLLo \u0414\u03a3"), ElementsAre("hello", "\u0434\u03c3"));
  EXPECT_THAT(Words("HeLLo \u0414", kCased), ElementsAre("HeLLo", "\u0414"));
  EXPECT_THAT(Words("\u0130", kAccented), ElementsAre("i\u0307"));
  EXPECT_THAT(Words("\u0130"), ElementsAre("i"));
}

TEST(BertWordsTest, LeavesOutAccentsWhereAsked) {
  EXPECT_THAT(Words("\u00c9t\u00e9 e\u0301"), ElementsAre("ete", "e"));
  EXPECT_THAT(Words("\u00c9t\u00e9", kAccented), ElementsAre("\u00e9t\u00e9"));
  EXPECT_THAT(Words("\u00c9t\u00e9", {.lower_case = false, .strip_accents = true}),
              ElementsAre("Ete"));
  EXPECT_THAT(Words(" \u0301 "), IsEmpty());
  // A mark that takes up space is no accent.
  EXPECT_THAT(Words("\u0915\u093f"), ElementsAre("\u0915\u093f"));
}

TEST(BertWordsTest, TakesHangulApartWithTheAccents) {
  EXPECT_THAT(Words("\uac01"), ElementsAre("\u1100\u1161\u11a8"));
  EXPECT_THAT(Words("\uac01", kAccented), ElementsAre("\uac01"));
}

TEST(BertWordsTest, SplitsAtPunctuationThatNormalisationMakes) {
  EXPECT_THAT(Words("a\u037eb"), ElementsAre("a", ";", "b"));  // the Greek question mark
  EXPECT_THAT(Words("a\u1fefb"), ElementsAre("a", "`", "b"));
}

}  // namespace
}  // namespace forge
