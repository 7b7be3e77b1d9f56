#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using testing::BoolValue;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::Uint32Value;
using testing::VocabularyBuilder;

constexpr Tokenizer::EncodeOptions kPlain = {.add_special = false, .parse_special = false};
constexpr Tokenizer::EncodeOptions kParsed = {.add_special = false, .parse_special = true};
constexpr Tokenizer::EncodeOptions kAdded = {.add_special = true, .parse_special = true};

constexpr TokenId kPad = 0, kUnknown = 1, kCls = 2, kSep = 3, kMask = 4;

struct SmallWordPiece {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  TokenId hello = builder.AddToken("\u2581hello");
  TokenId un = builder.AddToken("\u2581un");
  TokenId una = builder.AddToken("\u2581una");
  TokenId aff = builder.AddToken("aff");
  TokenId affable = builder.AddToken("affable");
  TokenId a = builder.AddToken("a");
  TokenId able = builder.AddToken("able");
  TokenId comma = builder.AddToken("\u2581,");
};

// A vocabulary that tells upper case from lower case.
struct CasedWordPiece {
  CasedWordPiece() {
    for (char letter = 'A'; letter <= 'Z'; ++letter)
      builder.AddToken(std::string("\u2581") + letter);
  }
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  TokenId a = builder.AddToken("\u2581a");
  TokenId e_acute = builder.AddToken("\u2581\u00e9");
  TokenId e = builder.AddToken("\u2581e");
};

TEST(WordPieceTokenizerTest, TakesTheLongestTokenFromTheLeft) {
  const SmallWordPiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("hello", kPlain), ElementsAre(vocabulary.hello));
  EXPECT_THAT(tokenizer->Encode("Hello, HELLO", kPlain),
              ElementsAre(vocabulary.hello, vocabulary.comma, vocabulary.hello));
  EXPECT_THAT(tokenizer->Encode("unable", kPlain), ElementsAre(kUnknown));  // "una" "b": greedy
  EXPECT_THAT(tokenizer->Encode("unaaffaffable", kPlain),
              ElementsAre(vocabulary.una, vocabulary.aff, vocabulary.affable));
  EXPECT_EQ(tokenizer->model_name(), "bert");
}

TEST(WordPieceTokenizerTest, TellsTokensThatBeginAWordFromThoseThatContinueOne) {
  const SmallWordPiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("able", kPlain), ElementsAre(kUnknown));
  EXPECT_THAT(tokenizer->Encode("unhello", kPlain), ElementsAre(kUnknown));
  // U+2581 in a text is a character like any other.
  EXPECT_THAT(tokenizer->Encode("un\u2581hello", kPlain), ElementsAre(kUnknown));
  EXPECT_THAT(tokenizer->Encode("\u2581hello", kPlain), ElementsAre(kUnknown));
}

TEST(WordPieceTokenizerTest, MakesAWholeWordUnknownAndGoesOnAfterIt) {
  const SmallWordPiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("hello unaffz hello", kPlain),
              ElementsAre(vocabulary.hello, kUnknown, vocabulary.hello));
  EXPECT_THAT(tokenizer->Encode("!", kPlain), ElementsAre(kUnknown));
  EXPECT_THAT(tokenizer->Encode(" \x01\xff ", kPlain), IsEmpty());
}

TEST(WordPieceTokenizerTest, NeedsACharacterToBeginAWord) {
  SmallWordPiece vocabulary;
  vocabulary.builder.AddToken("\u2581");
  vocabulary.builder.AddToken("");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("aff", kPlain), ElementsAre(kUnknown));
}

TEST(WordPieceTokenizerTest, TakesWordsOfAHundredCharacters) {
  SmallWordPiece vocabulary;
  const TokenId e = vocabulary.builder.AddToken("\u2581\u0438");
  vocabulary.builder.AddToken("\u0438");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  const auto word = [](std::string_view letter, size_t n) {
    std::string text;
    for (size_t i = 0; i < n; ++i) text += letter;
    return text;
  };
  EXPECT_EQ(tokenizer->Encode("un" + word("a", 98), kPlain).size(), 98u);
  EXPECT_THAT(tokenizer->Encode("un" + word("a", 99), kPlain), ElementsAre(kUnknown));
  const std::vector<TokenId> ids = tokenizer->Encode(word("\u0438", 100), kPlain);
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(ids[0], e);
  // The accents are gone when characters are counted.
  EXPECT_EQ(tokenizer->Encode(word("\u0439", 100), kPlain).size(), 100u);
  EXPECT_THAT(tokenizer->Encode(word("\u0438", 101), kPlain), ElementsAre(kUnknown));
}

TEST(WordPieceTokenizerTest, LeavesOutUnknownWordsWithoutAnUnknownToken) {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  builder.Set("tokenizer.ggml.tokens", testing::StringsValue({"\u2581a", "x"}))
      .Set("tokenizer.ggml.token_type", testing::Int32sValue({1, 1}));
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a b ax", kAdded), ElementsAre(0, 0, 1));
}

TEST(WordPieceTokenizerTest, PutsClassifierAndSeparatorAroundEveryText) {
  const SmallWordPiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("hello", kAdded), ElementsAre(kCls, vocabulary.hello, kSep));
  EXPECT_THAT(tokenizer->Encode("", kAdded), ElementsAre(kCls, kSep));
  EXPECT_THAT(tokenizer->Encode("[CLS] hello [SEP]", kAdded),
              ElementsAre(kCls, vocabulary.hello, kSep));
  EXPECT_EQ(tokenizer->special().bos, kCls);
  EXPECT_EQ(tokenizer->special().eos, kSep);
  EXPECT_EQ(tokenizer->special().unknown, kUnknown);
  EXPECT_EQ(tokenizer->special().pad, kPad);
  EXPECT_TRUE(tokenizer->EndsGeneration(kSep));
  EXPECT_FALSE(tokenizer->EndsGeneration(kCls));
  EXPECT_FALSE(tokenizer->EndsGeneration(vocabulary.hello));
}

TEST(WordPieceTokenizerTest, TakesTheIdsThatTheFileNames) {
  SmallWordPiece vocabulary;
  vocabulary.builder.Set("tokenizer.ggml.bos_token_id", Uint32Value(kMask))
      .Set("tokenizer.ggml.eos_token_id", Uint32Value(kPad));
  const auto by_bos = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(by_bos->Encode("", kAdded), ElementsAre(kMask, kPad));
  vocabulary.builder.Set("tokenizer.ggml.cls_token_id", Uint32Value(kCls))
      .Set("tokenizer.ggml.seperator_token_id", Uint32Value(kSep))
      .Set("tokenizer.ggml.unknown_token_id", Uint32Value(kMask))
      .Set("tokenizer.ggml.padding_token_id", Uint32Value(kUnknown));
  const auto by_cls = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(by_cls->Encode("x", kAdded), ElementsAre(kCls, kMask, kSep));
  EXPECT_EQ(by_cls->special().pad, kUnknown);
}

TEST(WordPieceTokenizerTest, AddsNothingWhereTheFileSaysSo) {
  SmallWordPiece vocabulary;
  vocabulary.builder.Set("tokenizer.ggml.add_bos_token", BoolValue(false))
      .Set("tokenizer.ggml.add_eos_token", BoolValue(false));
  EXPECT_THAT(vocabulary.builder.BuildTokenizer()->Encode("hello", kAdded),
              ElementsAre(vocabulary.hello));
}

TEST(WordPieceTokenizerTest, FindsSpecialTokensByNameWithoutTypes) {
  SmallWordPiece vocabulary;
  vocabulary.builder.Remove("tokenizer.ggml.token_type");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_TRUE(tokenizer->IsControl(kCls));
  EXPECT_TRUE(tokenizer->IsControl(kSep));
  EXPECT_THAT(tokenizer->Encode("hello z", kAdded),
              ElementsAre(kCls, vocabulary.hello, kUnknown, kSep));
}

TEST(WordPieceTokenizerTest, FindsControlTokensWhereAskedOnly) {
  SmallWordPiece vocabulary;
  const TokenId bracket = vocabulary.builder.AddToken("\u2581[");
  const TokenId mask = vocabulary.builder.AddToken("\u2581mask");
  const TokenId closing = vocabulary.builder.AddToken("\u2581]");
  const TokenId control = vocabulary.builder.AddToken("unaff", TokenType::kControl);
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("hello[MASK]hello", kParsed),
              ElementsAre(vocabulary.hello, kMask, vocabulary.hello));
  EXPECT_THAT(tokenizer->Encode("[MASK]", kPlain), ElementsAre(bracket, mask, closing));
  // Nor is one a piece of a word.
  EXPECT_THAT(tokenizer->Encode("helloununaff", kPlain),
              ::testing::Not(::testing::Contains(control)));
}

// Converters mark them like words.
TEST(WordPieceTokenizerTest, FindsUserDefinedTokensAnywhere) {
  SmallWordPiece vocabulary;
  const TokenId query = vocabulary.builder.AddToken("\u2581[Q]", TokenType::kUserDefined);
  const TokenId plain = vocabulary.builder.AddToken("<x>", TokenType::kUserDefined);
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("[Q]hello[Q] <x>", kPlain),
              ElementsAre(query, vocabulary.hello, query, plain));
  EXPECT_EQ(tokenizer->FindToken("[Q]"), query);
}

TEST(WordPieceTokenizerTest, FindsUserDefinedTokensAsTheyAreWrittenOnly) {
  SmallWordPiece vocabulary;
  const TokenId end = vocabulary.builder.AddToken("end", TokenType::kUserDefined);
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("unend", kPlain), ElementsAre(vocabulary.un, end));
  EXPECT_THAT(tokenizer->Encode("unEnd", kPlain), ElementsAre(kUnknown));
}

TEST(WordPieceTokenizerTest, KeepsCaseWhereTheVocabularyOrTheFileTellsIt) {
  CasedWordPiece vocabulary;
  const auto told_by_vocabulary = vocabulary.builder.BuildTokenizer();
  const TokenId upper_a = *told_by_vocabulary->FindToken(" A");
  EXPECT_THAT(told_by_vocabulary->Encode("A a \u00e9", kPlain),
              ElementsAre(upper_a, vocabulary.a, vocabulary.e_acute));

  vocabulary.builder.Set("tokenizer.ggml.normalizer.lowercase", BoolValue(true));
  EXPECT_THAT(vocabulary.builder.BuildTokenizer()->Encode("A a \u00e9", kPlain),
              ElementsAre(vocabulary.a, vocabulary.a, vocabulary.e));

  vocabulary.builder.Set("tokenizer.ggml.normalizer.strip_accents", BoolValue(false));
  EXPECT_THAT(vocabulary.builder.BuildTokenizer()->Encode("A \u00c9", kPlain),
              ElementsAre(vocabulary.a, vocabulary.e_acute));

  vocabulary.builder.Set("tokenizer.ggml.normalizer.lowercase", BoolValue(false))
      .Set("tokenizer.ggml.normalizer.strip_accents", BoolValue(true));
  EXPECT_THAT(vocabulary.builder.BuildTokenizer()->Encode("A \u00e9", kPlain),
              ElementsAre(upper_a, vocabulary.e));
}

TEST(WordPieceTokenizerTest, MakesLowerCaseWhereOnlySomeUpperCaseLettersAreWords) {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  const TokenId upper_q = builder.AddToken("\u2581Q");
  const TokenId lower_q = builder.AddToken("\u2581q");
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("Q", kPlain), ElementsAre(lower_q));
  EXPECT_EQ(tokenizer->TokenBytes(upper_q, false), " Q");
}

TEST(WordPieceTokenizerTest, DecodesToTheNormalisedWords) {
  const SmallWordPiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  const auto decode = [&](std::string_view text, bool render_special) {
    return tokenizer->Decode(tokenizer->Encode(text, kAdded), render_special);
  };
  EXPECT_EQ(decode("Hello,  unaaffable", false), "hello , unaaffable");
  EXPECT_EQ(decode("hello", true), "[CLS] hello[SEP]");
  EXPECT_EQ(decode("hello z hello", false), "hello hello");
  EXPECT_EQ(decode("hello z hello", true), "[CLS] hello[UNK] hello[SEP]");
  EXPECT_EQ(decode("", false), "");
  EXPECT_EQ(tokenizer->TokenBytes(vocabulary.hello, false), " hello");
  EXPECT_EQ(tokenizer->TokenBytes(vocabulary.aff, false), "aff");
  EXPECT_EQ(tokenizer->TokenBytes(kCls, false), "");
  EXPECT_EQ(tokenizer->TokenBytes(kCls, true), "[CLS]");
  EXPECT_TRUE(tokenizer->AddsSpaceAtStart());
  EXPECT_FALSE(tokenizer->AddsSpaceAfter(kCls));
}

TEST(WordPieceTokenizerTest, SurvivesEmptyAndRepeatedTokens) {
  SmallWordPiece vocabulary;
  const TokenId empty = vocabulary.builder.AddToken("");
  const TokenId again = vocabulary.builder.AddToken("\u2581hello");
  vocabulary.builder.AddToken("", TokenType::kControl);
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("hello", kParsed), ElementsAre(vocabulary.hello));
  EXPECT_EQ(tokenizer->TokenBytes(empty, true), "");
  EXPECT_EQ(tokenizer->TokenBytes(again, false), " hello");
}

}  // namespace
}  // namespace forge
