#include "engine/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

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

std::string RandomBytes(std::mt19937& random) {
  constexpr std::string_view kParts[] = {"a",    "b",        " ",      "\n", "\u00e9", "\u4e2d",
                                         "\xff", "\xe2\x82", "\u0301", "1",  "\0"};
  std::string text;
  const size_t n_parts = random() % 20;
  for (size_t i = 0; i < n_parts; ++i) text += kParts[random() % std::size(kParts)];
  return text;
}

TEST(BytePairTokenizerTest, MergesByRank) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId bc = builder.AddMerge("b", "c");
  const TokenId ab = builder.AddMerge("a", "b");
  const TokenId space_a = builder.AddMerge(testing::ByteLevelCharacter(' '), "a");
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("abc", kPlain), ElementsAre('a', bc));
  EXPECT_THAT(tokenizer->Encode("abx", kPlain), ElementsAre(ab, 'x'));
  EXPECT_THAT(tokenizer->Encode("x a", kPlain), ElementsAre('x', space_a));
  EXPECT_THAT(tokenizer->Encode("", kPlain), IsEmpty());
  EXPECT_EQ(tokenizer->model_name(), "gpt2");
}

TEST(BytePairTokenizerTest, TakesWholeEntriesOnlyWhereMergesAreIgnored) {
  for (const bool ignores : {false, true}) {
    VocabularyBuilder builder = VocabularyBuilder::BytePairs(ignores ? "llama-bpe" : "gpt-2");
    const TokenId bc = builder.AddMerge("b", "c");
    const TokenId abc = builder.AddToken("abc");  // no merge leads to it
    const auto tokenizer = builder.BuildTokenizer();
    if (ignores) {
      EXPECT_THAT(tokenizer->Encode("abc", kPlain), ElementsAre(abc));
    } else {
      EXPECT_THAT(tokenizer->Encode("abc", kPlain), ElementsAre('a', bc));
    }
  }
}

TEST(BytePairTokenizerTest, RestoresAnyBytes) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  builder.AddMerge("a", "b");
  const auto tokenizer = builder.BuildTokenizer();
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = RandomBytes(random);
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, kPlain), false), text);
  }
}

TEST(BytePairTokenizerTest, NormalizesForQwen2Only) {
  VocabularyBuilder qwen = VocabularyBuilder::BytePairs("qwen2");
  EXPECT_EQ(
      qwen.BuildTokenizer()->Decode(qwen.BuildTokenizer()->Encode("e\u0301\xff", kPlain), false),
      "\u00e9\xff");
  VocabularyBuilder gpt2 = VocabularyBuilder::BytePairs("gpt-2");
  EXPECT_EQ(gpt2.BuildTokenizer()->Decode(gpt2.BuildTokenizer()->Encode("e\u0301", kPlain), false),
            "e\u0301");
}

TEST(BytePairTokenizerTest, ReplacesBytesThatTheVocabularyLacks) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  builder.Set("tokenizer.ggml.tokens", testing::StringsValue({"<unk>", "a"}))
      .Set("tokenizer.ggml.token_type", testing::Int32sValue({2, 1}));
  EXPECT_THAT(builder.BuildTokenizer()->Encode("ab", kPlain), ElementsAre(1));
  builder.Set("tokenizer.ggml.unknown_token_id", Uint32Value(0));
  EXPECT_THAT(builder.BuildTokenizer()->Encode("ab", kPlain), ElementsAre(1, 0));
}

TEST(BytePairTokenizerTest, NeverMergesIntoAControlToken) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  builder.AddMerge("<", "s");
  const TokenId control = builder.AddMerge("<s", ">");
  std::vector<int32_t> types(static_cast<size_t>(control) + 1, 1);
  types.back() = static_cast<int32_t>(TokenType::kControl);
  builder.Set("tokenizer.ggml.token_type", testing::Int32sValue(types));
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("<s>", kPlain), ElementsAre('<', 's', '>'));
  EXPECT_THAT(tokenizer->Encode("<s>", kParsed), ElementsAre(control));
}

TEST(BytePairTokenizerTest, AddsBosByDefaultWhereTheFieldDoes) {
  for (const bool is_llama3 : {false, true}) {
    VocabularyBuilder builder = VocabularyBuilder::BytePairs(is_llama3 ? "llama-bpe" : "gpt-2");
    const TokenId bos = builder.AddToken("<bos>", TokenType::kControl);
    builder.Set("tokenizer.ggml.bos_token_id", Uint32Value(static_cast<uint32_t>(bos)));
    EXPECT_EQ(builder.BuildTokenizer()->special().add_bos, is_llama3);
    builder.Set("tokenizer.ggml.add_bos_token", BoolValue(!is_llama3));
    EXPECT_EQ(builder.BuildTokenizer()->special().add_bos, !is_llama3);
  }
}

TEST(BytePairTokenizerTest, AssumesNoSpecialIdsWithoutKeys) {
  const auto tokenizer = VocabularyBuilder::BytePairs("llama-bpe").BuildTokenizer();
  EXPECT_FALSE(tokenizer->special().bos);
  EXPECT_FALSE(tokenizer->special().eos);
  EXPECT_FALSE(tokenizer->special().add_bos);
  EXPECT_THAT(tokenizer->Encode("a", kAdded), ElementsAre('a'));
}

// Ids 0 to 258 are <unk>, <s>, </s> and the bytes.
struct SmallSentencePiece {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  TokenId space = builder.AddToken("\u2581", TokenType::kNormal, -10);
  TokenId a = builder.AddToken("a", TokenType::kNormal, -11);
  TokenId b = builder.AddToken("b", TokenType::kNormal, -12);
  TokenId ab = builder.AddToken("ab", TokenType::kNormal, -2);
  TokenId ba = builder.AddToken("ba", TokenType::kNormal, -1);
  TokenId space_a = builder.AddToken("\u2581a", TokenType::kNormal, -3);
};

TokenId ByteToken(char byte) { return 3 + static_cast<uint8_t>(byte); }

TEST(SentencePieceTokenizerTest, MergesByScoreAndThenFromTheLeft) {
  SmallSentencePiece vocabulary;
  vocabulary.builder.Set("tokenizer.ggml.add_space_prefix", BoolValue(false));
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("aba", kPlain), ElementsAre(vocabulary.a, vocabulary.ba));
  EXPECT_THAT(tokenizer->Encode("abb", kPlain), ElementsAre(vocabulary.ab, vocabulary.b));
  EXPECT_THAT(tokenizer->Encode("abab", kPlain),
              ElementsAre(vocabulary.a, vocabulary.ba, vocabulary.b));
  EXPECT_EQ(tokenizer->model_name(), "llama");
}

TEST(SentencePieceTokenizerTest, PutsASpaceBeforeTextAndTakesItAwayAgain) {
  const SmallSentencePiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a", kPlain), ElementsAre(vocabulary.space_a));
  EXPECT_THAT(tokenizer->Encode(" a", kPlain), ElementsAre(vocabulary.space, vocabulary.space_a));
  EXPECT_THAT(tokenizer->Encode("", kPlain), IsEmpty());
  EXPECT_THAT(tokenizer->Encode("<s>a</s>b", kParsed),
              ElementsAre(1, vocabulary.space_a, 2, vocabulary.space, vocabulary.b));
  for (const std::string text : {"a", " a", "  a b ", "<s>a</s>b", ""})
    EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, kParsed), true), text);
}

TEST(SentencePieceTokenizerTest, WritesUnknownCharactersAsBytes) {
  SmallSentencePiece vocabulary;
  vocabulary.builder.Set("tokenizer.ggml.add_space_prefix", BoolValue(false));
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("\u00e9", kPlain),
              ElementsAre(ByteToken('\xc3'), ByteToken('\xa9')));
  EXPECT_THAT(tokenizer->Encode("\xff", kPlain), ElementsAre(ByteToken('\xff')));
  // The name of a byte token is text like any other.
  EXPECT_THAT(tokenizer->Encode("<0x41>", kPlain), ::testing::SizeIs(6));
  EXPECT_EQ(tokenizer->TokenBytes(ByteToken('A'), false), "A");
}

TEST(SentencePieceTokenizerTest, WritesUnknownCharactersAsTheUnknownTokenWithoutBytes) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.Set("tokenizer.ggml.tokens", testing::StringsValue({"<unk>", "<s>", "</s>", "a"}))
      .Set("tokenizer.ggml.token_type", testing::Int32sValue({2, 3, 3, 1}))
      .Set("tokenizer.ggml.scores", testing::FloatsValue({0, 0, 0, 0}))
      .Set("tokenizer.ggml.add_space_prefix", BoolValue(false));
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a\u00e9", kPlain), ElementsAre(3, 0));
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{3, 0}, false), "a");
  EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{3, 0}, true), "a<unk>");
}

TEST(SentencePieceTokenizerTest, RestoresAnyBytesButEscapedSpaces) {
  const SmallSentencePiece vocabulary;
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = RandomBytes(random);
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, kPlain), false), text);
  }
  EXPECT_EQ(tokenizer->Encode("a\u2581a", kPlain), tokenizer->Encode("a a", kPlain));
}

// Words are merged apart from each other, which must make no difference.
TEST(SentencePieceTokenizerTest, MergesAcrossASpaceWhereATokenDoes) {
  SmallSentencePiece vocabulary;
  const TokenId b_space_a = vocabulary.builder.AddToken("b\u2581a", TokenType::kNormal, -1);
  vocabulary.builder.Set("tokenizer.ggml.add_space_prefix", BoolValue(false));
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("b a", kPlain), ElementsAre(b_space_a));
  EXPECT_THAT(tokenizer->Encode("a a", kPlain), ElementsAre(vocabulary.a, vocabulary.space_a));
}

TEST(SentencePieceTokenizerTest, NeverMergesIntoAUserDefinedTokenWithAPlainSpace) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  const TokenId l = builder.AddToken("l", TokenType::kUserDefined);
  const TokenId space_o = builder.AddToken(" o", TokenType::kUserDefined);
  const auto tokenizer = builder.BuildTokenizer();
  // The space before "o" is SentencePiece's own, and is taken away again.
  const std::vector<TokenId> tokens = tokenizer->Encode("lo", kPlain);
  EXPECT_THAT(tokens, ElementsAre(l, 3 + ' ', 3 + 'o'));
  EXPECT_EQ(tokenizer->Decode(tokens, false), "lo");
  EXPECT_THAT(tokenizer->Encode("l o", kPlain), ElementsAre(l, space_o));
  EXPECT_EQ(tokenizer->FindToken(" o"), space_o);
}

TEST(SentencePieceTokenizerTest, FindsNoUserDefinedTokenWithItsOwnSpaceInTheText) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  const TokenId space = builder.AddToken("\u2581", TokenType::kUserDefined);
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("h", kPlain), ElementsAre(space, 3 + 'h'));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("h", kPlain), false), "h");
  EXPECT_THAT(tokenizer->Encode(" h", kPlain), ElementsAre(space, space, 3 + 'h'));
}

TEST(SentencePieceTokenizerTest, AssumesTheUsualIdsOnlyWhereTheyAreSpecial) {
  const auto usual = VocabularyBuilder::SentencePiece().BuildTokenizer();
  EXPECT_EQ(usual->special().bos, 1);
  EXPECT_EQ(usual->special().eos, 2);
  EXPECT_EQ(usual->special().unknown, 0);
  EXPECT_TRUE(usual->special().add_bos);
  EXPECT_THAT(usual->Encode("", kAdded), ElementsAre(1));

  VocabularyBuilder two_tokens = VocabularyBuilder::SentencePiece();
  two_tokens.Set("tokenizer.ggml.tokens", testing::StringsValue({"a", "b"}))
      .Set("tokenizer.ggml.token_type", testing::Int32sValue({1, 1}))
      .Set("tokenizer.ggml.scores", testing::FloatsValue({0, 0}));
  const auto small = two_tokens.BuildTokenizer();
  EXPECT_FALSE(small->special().bos);
  EXPECT_FALSE(small->special().eos);
  EXPECT_FALSE(small->special().unknown);
  EXPECT_FALSE(small->special().add_bos);
}

TEST(SentencePieceTokenizerTest, ReadsFilesWithoutTypes) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  builder.Remove("tokenizer.ggml.token_type");
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_TRUE(tokenizer->IsControl(1));
  EXPECT_EQ(tokenizer->TokenBytes(ByteToken('A'), false), "A");
  EXPECT_THAT(tokenizer->Encode("<s>", kParsed), ElementsAre(1));
}

TEST(TokenizerTest, AddsBosAndEosOnceOnly) {
  SmallSentencePiece vocabulary;
  vocabulary.builder.Set("tokenizer.ggml.add_eos_token", BoolValue(true));
  const auto tokenizer = vocabulary.builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a", kAdded), ElementsAre(1, vocabulary.space_a, 2));
  EXPECT_THAT(tokenizer->Encode("<s>a</s>", kAdded), ElementsAre(1, vocabulary.space_a, 2));
  EXPECT_THAT(tokenizer->Encode("<s>", kAdded), ElementsAre(1, 2));
}

TEST(TokenizerTest, MatchesUserDefinedTokensAlwaysAndControlTokensWhenAsked) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId user = builder.AddToken("<tool>", TokenType::kUserDefined);
  const TokenId control = builder.AddToken("<|im_end|>", TokenType::kControl);
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("a<tool>b", kPlain), ElementsAre('a', user, 'b'));
  EXPECT_THAT(tokenizer->Encode("<|im_end|>", kParsed), ElementsAre(control));
  EXPECT_THAT(tokenizer->Encode("<|im_end|>", kPlain),
              ::testing::Not(::testing::Contains(control)));
  EXPECT_EQ(tokenizer->TokenBytes(control, false), "");
  EXPECT_EQ(tokenizer->TokenBytes(control, true), "<|im_end|>");
  EXPECT_EQ(tokenizer->TokenBytes(user, false), "<tool>");
}

TEST(TokenizerTest, FindsTokensByTheirBytes) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId normal = builder.AddToken("<|x|>");
  const TokenId control = builder.AddToken("<|x|>", TokenType::kControl);
  const TokenId space_a = builder.AddToken(testing::ByteLevelCharacter(' ') + "a");
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_EQ(tokenizer->FindToken("<|x|>"), control);
  EXPECT_NE(tokenizer->FindToken("<|x|>"), normal);
  EXPECT_EQ(tokenizer->FindToken(" a"), space_a);
  EXPECT_EQ(tokenizer->FindToken("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer->FindToken(""), std::nullopt);
}

TEST(TokenizerTest, KnowsWhatEndsAnAnswer) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId end_of_text = builder.AddToken("<|endoftext|>", TokenType::kControl);
  const TokenId end_of_turn = builder.AddToken("<|im_end|>", TokenType::kControl);
  const TokenId only_text = builder.AddToken("</s>", TokenType::kNormal);
  const TokenId own_eos = builder.AddToken("stop", TokenType::kNormal);
  builder.Set("tokenizer.ggml.eos_token_id", Uint32Value(static_cast<uint32_t>(own_eos)));
  const auto by_name = builder.BuildTokenizer();
  EXPECT_EQ(by_name->special().eot, end_of_turn);
  EXPECT_TRUE(by_name->EndsGeneration(end_of_text));
  EXPECT_TRUE(by_name->EndsGeneration(end_of_turn));
  EXPECT_TRUE(by_name->EndsGeneration(own_eos));
  EXPECT_FALSE(by_name->EndsGeneration(only_text));
  EXPECT_FALSE(by_name->EndsGeneration('a'));

  builder.Set("tokenizer.ggml.eot_token_id", Uint32Value('a'));
  const auto by_key = builder.BuildTokenizer();
  EXPECT_EQ(by_key->special().eot, 'a');
  EXPECT_TRUE(by_key->EndsGeneration('a'));
}

// Converters have written end-of-turn tokens as normal and as user-defined ones.
TEST(TokenizerTest, TakesEndTokensForControlWhateverTheirType) {
  for (const TokenType type : {TokenType::kNormal, TokenType::kUserDefined, TokenType::kUnused}) {
    VocabularyBuilder builder = VocabularyBuilder::BytePairs();
    const TokenId end_of_turn = builder.AddToken("<end_of_turn>", type);
    const auto tokenizer = builder.BuildTokenizer();
    EXPECT_EQ(tokenizer->special().eot, end_of_turn);
    EXPECT_TRUE(tokenizer->EndsGeneration(end_of_turn));
    EXPECT_TRUE(tokenizer->IsControl(end_of_turn));
    // A message cannot spell it.
    EXPECT_EQ(tokenizer->Encode("<end_of_turn>", {.parse_special = false}).size(), 13u);
    EXPECT_EQ(tokenizer->Encode("<end_of_turn>", {.parse_special = true}),
              std::vector<TokenId>{end_of_turn});
  }
}

TEST(TokenizerTest, SurvivesEmptyAndDuplicateTokens) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId empty = builder.AddToken("");
  builder.AddToken("", TokenType::kControl);
  builder.AddToken("a");
  const auto tokenizer = builder.BuildTokenizer();
  EXPECT_THAT(tokenizer->Encode("aa", kParsed), ElementsAre('a', 'a'));
  EXPECT_EQ(tokenizer->TokenBytes(empty, true), "");
  EXPECT_EQ(tokenizer->n_tokens(), 259u);
}

}  // namespace
}  // namespace forge
