// Tokens as SentencePiece has them, merged by pairs: the tokenizer "gemma4".
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using ::testing::ElementsAre;
using testing::Uint32Value;
using testing::VocabularyBuilder;

constexpr Tokenizer::EncodeOptions kPlain = {.add_special = false, .parse_special = false};
constexpr Tokenizer::EncodeOptions kAdded = {.add_special = true, .parse_special = true};

TokenId ByteToken(char byte) { return 3 + static_cast<uint8_t>(byte); }

struct SmallPairs {
  VocabularyBuilder builder = VocabularyBuilder::CharacterPairs();
  TokenId a = builder.AddToken("a");
  TokenId b = builder.AddToken("b");
  TokenId space = builder.AddToken("\u2581");
  TokenId line = builder.AddToken("\n");
};

TEST(CharacterPairTokenizerTest, MergesPairsByRankAndNothingElse) {
  SmallPairs vocabulary;
  const TokenId ba = vocabulary.builder.AddMerge("b", "a");
  const TokenId ab = vocabulary.builder.AddMerge("a", "b");
  vocabulary.builder.AddToken("aa");  // no merge leads to it
  const TokenId space_a = vocabulary.builder.AddMerge("\u2581", "a");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("aba", kPlain), ElementsAre(vocabulary.a, ba));
  EXPECT_THAT(tokenizer->Encode("abb", kPlain), ElementsAre(ab, vocabulary.b));
  EXPECT_THAT(tokenizer->Encode("aa", kPlain), ElementsAre(vocabulary.a, vocabulary.a));
  EXPECT_THAT(tokenizer->Encode(" a", kPlain), ElementsAre(space_a));
  EXPECT_THAT(tokenizer->Encode("a\u2581a", kPlain), ElementsAre(vocabulary.a, space_a));
  EXPECT_EQ(tokenizer->model_name(), "gemma4");
}

TEST(CharacterPairTokenizerTest, MergesAcrossSpacesWhereAPairDoes) {
  SmallPairs vocabulary;
  const TokenId b_space = vocabulary.builder.AddMerge("b", "\u2581");
  const TokenId b_space_a = vocabulary.builder.AddMerge("b\u2581", "a");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("b a", kPlain), ElementsAre(b_space_a));
  EXPECT_THAT(tokenizer->Encode("b b", kPlain), ElementsAre(b_space, vocabulary.b));
}

TEST(CharacterPairTokenizerTest, LineBreaksAreApartAndTakenWholeWhereTheyAreAToken) {
  SmallPairs vocabulary;
  const TokenId lines = vocabulary.builder.AddToken("\n\n\n");
  vocabulary.builder.AddMerge("\n", "a");
  const TokenId two = vocabulary.builder.AddMerge("\n", "\n");
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a\n\n\nb", kPlain),
              ElementsAre(vocabulary.a, lines, vocabulary.b));
  EXPECT_THAT(tokenizer->Encode("\na", kPlain), ElementsAre(vocabulary.line, vocabulary.a));
  EXPECT_THAT(tokenizer->Encode("\n\n\n\n", kPlain), ElementsAre(two, two));
}

TEST(CharacterPairTokenizerTest, WritesUnknownCharactersAsBytesAndRestoresAnyText) {
  const SmallPairs vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("\u00e9\xff", kPlain),
              ElementsAre(ByteToken('\xc3'), ByteToken('\xa9'), ByteToken('\xff')));
  std::mt19937 random(5);
  constexpr std::string_view kParts[] = {"a", "b", " ", "\n", "\u4e2d", "\xe2\x82", "1"};
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += kParts[random() % std::size(kParts)];
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, kPlain), false), text);
  }
}

TEST(CharacterPairTokenizerTest, PutsBosButNoSpaceBeforeATextAndEndsWithTheTurn) {
  SmallPairs vocabulary;
  const TokenId turn = vocabulary.builder.AddToken("<turn|>", TokenType::kControl);
  vocabulary.builder.Set("tokenizer.ggml.bos_token_id", Uint32Value(1))
      .Set("tokenizer.ggml.eos_token_id", Uint32Value(2));
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a<turn|>b", kAdded),
              ElementsAre(1, vocabulary.a, turn, vocabulary.b));
  EXPECT_TRUE(tokenizer->EndsGeneration(turn));
  EXPECT_TRUE(tokenizer->EndsGeneration(2));
  EXPECT_EQ(tokenizer->special().eot, turn);
}

}  // namespace
}  // namespace forge
