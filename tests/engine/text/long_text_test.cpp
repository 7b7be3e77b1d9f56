// Texts of a megabyte that are one piece, or nearly, must take no more than n log n.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "engine/text/tokenizer.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using testing::VocabularyBuilder;

constexpr size_t kBytes = 1'000'000;
// Quadratic work on a megabyte would take hours; sanitizers and busy machines cost a factor of 20.
constexpr std::chrono::seconds kLimit(60);

std::string Repeat(std::string_view unit) {
  std::string text;
  while (text.size() < kBytes) text += unit;
  return text;
}

// Doubles `letter` up to 64 times, as real vocabularies do for spaces and dashes.
void AddDoublings(const std::string& letter, VocabularyBuilder& builder) {
  std::string run = letter;
  for (int i = 0; i < 6; ++i) {
    builder.AddMerge(run, run);
    run += run;
  }
}

void ExpectQuick(const Tokenizer& tokenizer) {
  for (const std::string_view unit : {"a", " ", "ab", "\u4e2d", "\xff"}) {
    SCOPED_TRACE(::testing::PrintToString(unit));
    const std::string text = Repeat(unit);
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer.Encode(text, {.add_special = false, .parse_special = true});
    EXPECT_LT(std::chrono::steady_clock::now() - start, kLimit);
    EXPECT_EQ(tokenizer.Decode(ids, false), text);
  }
}

TEST(LongTextTest, BytePairsTakeLongPiecesQuickly) {
  for (const char* pre_tokenizer : {"default", "gpt-2", "qwen2", "llama-bpe", "tekken"}) {
    SCOPED_TRACE(pre_tokenizer);
    VocabularyBuilder builder = VocabularyBuilder::BytePairs(pre_tokenizer);
    for (const char letter : {'a', ' ', '\''})
      AddDoublings(testing::ByteLevelCharacter(static_cast<uint8_t>(letter)), builder);
    builder.AddToken("ababababab<", TokenType::kUserDefined);  // nearly matches, again and again
    ExpectQuick(*builder.BuildTokenizer());
  }
}

TEST(LongTextTest, SentencePieceTakesLongWordsQuickly) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  float score = -1;
  for (const std::string letter : {"a", "\u2581", "b", "\u4e2d"}) {
    std::string run = letter;
    for (int i = 0; i < 5; ++i, run += run) builder.AddToken(run, TokenType::kNormal, score--);
  }
  ExpectQuick(*builder.BuildTokenizer());
}

// Lines are merged as a whole where merges cross spaces.
TEST(LongTextTest, CharacterPairsTakeLongLinesQuickly) {
  VocabularyBuilder builder = VocabularyBuilder::CharacterPairs();
  for (const std::string letter : {"a", "\u2581", "b", "\u4e2d", "\n"}) {
    builder.AddToken(letter);
    AddDoublings(letter, builder);
  }
  builder.AddMerge("a", "\u2581");
  ExpectQuick(*builder.BuildTokenizer());
}

// Every merge makes the left symbol longer, which is the most that looking tokens up can cost.
TEST(LongTextTest, SentencePieceTakesAVocabularyOfGrowingRunsQuickly) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  std::string run;
  for (int i = 0; i < 500; ++i) {
    run += 'a';
    builder.AddToken(run, TokenType::kNormal, static_cast<float>(i));
  }
  ExpectQuick(*builder.BuildTokenizer());
}

// Every place of a word may begin a long token, and none but the shortest ever does.
TEST(LongTextTest, WordPieceTakesLongWordsQuickly) {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  std::string run;
  for (int i = 0; i < 500; ++i) {
    run += 'a';
    builder.AddToken(run + 'b');
    builder.AddToken("\u2581" + run + 'b');
  }
  for (const std::string letter : {"a", "\u4e2d", "\u0438"}) {
    builder.AddToken(letter);
    builder.AddToken("\u2581" + letter);
  }
  const auto tokenizer = builder.BuildTokenizer();
  const std::string word(100, 'a');
  std::string accents = "e";
  for (int i = 0; i < 25; ++i) accents += "\u0301\u0323";  // to be put in order, then left out
  for (const std::string& unit :
       {std::string("a"), word + " ", word + "b ", std::string("\u4e2d"), std::string(" "),
        std::string("\xff"), std::string("\u0301\u0323"), accents, std::string("."),
        std::string("\uac01"), std::string("\u0439 ")}) {
    SCOPED_TRACE(::testing::PrintToString(unit));
    const std::string text = Repeat(unit);
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer->Encode(text, {.add_special = true, .parse_special = true});
    EXPECT_LT(std::chrono::steady_clock::now() - start, kLimit);
    EXPECT_LE(ids.size(), text.size() + 2);
    EXPECT_LE(tokenizer->Decode(ids, false).size(), 2 * text.size());
  }
}

}  // namespace
}  // namespace forge
