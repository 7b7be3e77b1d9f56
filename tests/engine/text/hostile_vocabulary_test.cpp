// Vocabularies that are wrong in one place: refused with the key and the value, never a crash.

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
using testing::FloatsValue;
using ::testing::HasSubstr;
using testing::Int32sValue;
using testing::Int32Value;
using testing::StringsValue;
using testing::StringValue;
using testing::Uint32Value;
using testing::Uint8sValue;
using testing::VocabularyBuilder;

struct HostileCase {
  const char* name;
  VocabularyBuilder vocabulary;
  const char* key;    // named by the error
  const char* value;  // part of the message
  StatusCode code = StatusCode::kInvalidArgument;
};

VocabularyBuilder SentencePiece() { return VocabularyBuilder::SentencePiece(); }
VocabularyBuilder BytePairs() { return VocabularyBuilder::BytePairs(); }
VocabularyBuilder WordPiece() { return VocabularyBuilder::WordPiece(); }

// A vocabulary of two tokens.
VocabularyBuilder Two(const std::string& text, TokenType type) {
  VocabularyBuilder builder = SentencePiece();
  builder.Set("tokenizer.ggml.tokens", StringsValue({"a", text}))
      .Set("tokenizer.ggml.token_type", Int32sValue({1, static_cast<int32_t>(type)}))
      .Set("tokenizer.ggml.scores", FloatsValue({0, 0}));
  return builder;
}

VocabularyBuilder WithMerge(const std::string& merge) {
  return BytePairs().Set("tokenizer.ggml.merges", StringsValue({merge}));
}

std::vector<HostileCase> HostileCases() {
  std::vector<HostileCase> cases = {
      {"NoModel", BytePairs().Remove("tokenizer.ggml.model"), "tokenizer.ggml.model", "gpt2"},
      {"ModelOfWrongType", BytePairs().Set("tokenizer.ggml.model", Uint32Value(1)),
       "tokenizer.ggml.model", "UINT32"},
      {"UnknownModel", BytePairs().Set("tokenizer.ggml.model", StringValue("t\n5")),
       "tokenizer.ggml.model", "t\\x0a5", StatusCode::kUnimplemented},
      {"UnknownPreTokenizer", VocabularyBuilder::BytePairs("klingon"), "tokenizer.ggml.pre",
       "klingon", StatusCode::kUnimplemented},
      {"NoTokens", BytePairs().Remove("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens", "array"},
      {"EmptyTokens", BytePairs().Set("tokenizer.ggml.tokens", StringsValue({})),
       "tokenizer.ggml.tokens", "at least one"},
      {"TokensOfWrongType", BytePairs().Set("tokenizer.ggml.tokens", Int32sValue({1})),
       "tokenizer.ggml.tokens", "STRING"},
      // V1
      {"TypesOfUint8", SentencePiece().Set("tokenizer.ggml.token_type", Uint8sValue({1, 1})),
       "tokenizer.ggml.token_type", "UINT8"},
      {"TypesTooShort", SentencePiece().Set("tokenizer.ggml.token_type", Int32sValue({1, 1})),
       "tokenizer.ggml.token_type", "2 elements"},
      {"TypeOutOfRange", Two("b", static_cast<TokenType>(7)), "tokenizer.ggml.token_type",
       "7 for token 1"},
      {"NegativeType",
       Two("b", TokenType::kNormal).Set("tokenizer.ggml.token_type", Int32sValue({1, -1})),
       "tokenizer.ggml.token_type", "-1 for token 1"},
      {"ScoresOfUint8", SentencePiece().Set("tokenizer.ggml.scores", Uint8sValue({1, 1})),
       "tokenizer.ggml.scores", "UINT8"},
      {"ScoresTooShort", SentencePiece().Set("tokenizer.ggml.scores", FloatsValue({1})),
       "tokenizer.ggml.scores", "1 elements"},
      {"NoScores", SentencePiece().Remove("tokenizer.ggml.scores"), "tokenizer.ggml.scores",
       "score"},
      // V3
      {"ByteTokenNegative", Two("<0x-1>", TokenType::kByte), "tokenizer.ggml.tokens", "<0x-1>"},
      {"ByteTokenNotHex", Two("<0xZZ>", TokenType::kByte), "tokenizer.ggml.tokens", "<0xZZ>"},
      {"ByteTokenTooLong", Two("<0x100>", TokenType::kByte), "tokenizer.ggml.tokens", "<0x100>"},
      {"ByteTokenEmpty", Two("", TokenType::kByte), "tokenizer.ggml.tokens", "\"\""},
      // V4
      {"CharsmapTooShort",
       SentencePiece().Set("tokenizer.ggml.precompiled_charsmap", Uint8sValue({0, 0, 0})),
       "tokenizer.ggml.precompiled_charsmap", "3 bytes"},
      {"CharsmapTrieBeyondEnd",
       SentencePiece().Set("tokenizer.ggml.precompiled_charsmap",
                           Uint8sValue({8, 0, 0, 0, 1, 2, 3, 4})),
       "tokenizer.ggml.precompiled_charsmap", "8 bytes"},
      {"CharsmapTrieHuge",
       SentencePiece().Set("tokenizer.ggml.precompiled_charsmap",
                           Uint8sValue({0xfc, 0xff, 0xff, 0xff})),
       "tokenizer.ggml.precompiled_charsmap", "4294967292"},
      {"CharsmapOfWrongType",
       SentencePiece().Set("tokenizer.ggml.precompiled_charsmap", Int32sValue({0})),
       "tokenizer.ggml.precompiled_charsmap", "INT32"},
      // V5
      {"TokenTooLong", Two(std::string(65537, 'a'), TokenType::kNormal), "tokenizer.ggml.tokens",
       "65537 bytes"},
      {"MergeWithoutSpace", WithMerge("ab"), "tokenizer.ggml.merges", "\"ab\", merge 0"},
      {"MergeOfOnePart", WithMerge("a "), "tokenizer.ggml.merges", "\"a \", merge 0"},
      {"MergeWithoutLeft", WithMerge(" a"), "tokenizer.ggml.merges", "\" a\", merge 0"},
      {"EmptyMerge", WithMerge(""), "tokenizer.ggml.merges", "\"\", merge 0"},
      {"MergeIntoUnknown", WithMerge("a b"), "tokenizer.ggml.merges", "\"a b\", merge 0"},
      {"MergeOfUnknown", WithMerge("ab c"), "tokenizer.ggml.merges", "\"ab c\", merge 0"},
      {"PairOfUnknown",
       VocabularyBuilder::CharacterPairs().Set("tokenizer.ggml.merges", StringsValue({"a b"})),
       "tokenizer.ggml.merges", "\"a b\", merge 0"},
      {"PairWithoutLeft",
       VocabularyBuilder::CharacterPairs().Set("tokenizer.ggml.merges", StringsValue({" a"})),
       "tokenizer.ggml.merges", "\" a\", merge 0"},
      {"NoPairs", VocabularyBuilder::CharacterPairs().Remove("tokenizer.ggml.merges"),
       "tokenizer.ggml.merges", "merges"},
      {"NoMerges", BytePairs().Remove("tokenizer.ggml.merges"), "tokenizer.ggml.merges", "merges"},
      {"AddBosOfWrongType", BytePairs().Set("tokenizer.ggml.add_bos_token", Uint32Value(1)),
       "tokenizer.ggml.add_bos_token", "UINT32"},
      {"AddSpaceOfWrongType",
       BytePairs().Set("tokenizer.ggml.add_space_prefix", StringValue("yes")),
       "tokenizer.ggml.add_space_prefix", "yes"},
      {"WordPieceWithoutTokens", WordPiece().Remove("tokenizer.ggml.tokens"),
       "tokenizer.ggml.tokens", "array"},
      {"WordPieceTypesTooShort", WordPiece().Set("tokenizer.ggml.token_type", Int32sValue({3})),
       "tokenizer.ggml.token_type", "1 elements"},
      {"WordPieceByteToken",
       WordPiece().Set("tokenizer.ggml.token_type", Int32sValue({3, 3, 3, 3, 6})),
       "tokenizer.ggml.tokens", "[MASK]"},
      {"WordPieceLowerCaseOfWrongType",
       WordPiece().Set("tokenizer.ggml.normalizer.lowercase", Uint32Value(1)),
       "tokenizer.ggml.normalizer.lowercase", "UINT32"},
      {"WordPieceStripAccentsOfWrongType",
       WordPiece().Set("tokenizer.ggml.normalizer.strip_accents", StringValue("no")),
       "tokenizer.ggml.normalizer.strip_accents", "no"},
      {"WordPieceClassifierBeyondEnd",
       WordPiece().Set("tokenizer.ggml.cls_token_id", Uint32Value(5)),
       "tokenizer.ggml.cls_token_id", "5"},
      {"WordPieceSeparatorBeyondEnd",
       WordPiece().Set("tokenizer.ggml.seperator_token_id", Uint32Value(102)),
       "tokenizer.ggml.seperator_token_id", "102"},
  };
  // V2
  static const char* const kIdKeys[] = {
      "tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
      "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.unknown_token_id",
      "tokenizer.ggml.padding_token_id", "tokenizer.ggml.mask_token_id",
  };
  for (const char* key : kIdKeys) {
    cases.push_back({"IdOfVocabularySize", BytePairs().Set(key, Uint32Value(256)), key, "256"});
    cases.push_back(
        {"IdAllOnes", BytePairs().Set(key, Uint32Value(0xffffffff)), key, "4294967295"});
    cases.push_back({"NegativeId", BytePairs().Set(key, Int32Value(-1)), key, "-1"});
    cases.push_back({"IdOfWrongType", BytePairs().Set(key, StringValue("5")), key, "STRING"});
  }
  return cases;
}

TEST(HostileVocabularyTest, IsRefusedNamingKeyAndValue) {
  for (const HostileCase& hostile : HostileCases()) {
    SCOPED_TRACE(std::string(hostile.name) + ", " + hostile.key);
    const Result<std::unique_ptr<Tokenizer>> tokenizer =
        Tokenizer::Create(hostile.vocabulary.Build());
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.status().code(), hostile.code);
    EXPECT_EQ(tokenizer.status().reason(), hostile.code == StatusCode::kUnimplemented
                                               ? "ARCHITECTURE_UNSUPPORTED"
                                               : "MODEL_FILE_INVALID");
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(hostile.key));
    EXPECT_THAT(std::string(tokenizer.status().message()), HasSubstr(hostile.value));
    const Status::Details& details = tokenizer.status().details();
    EXPECT_THAT(details, ::testing::Contains(::testing::Pair("field", hostile.key)));
  }
}

// The unchanged vocabularies are valid, so each case above fails for the reason it names.
TEST(HostileVocabularyTest, BasesAreAccepted) {
  EXPECT_TRUE(Tokenizer::Create(BytePairs().Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(SentencePiece().Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(WordPiece().Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(Two("b", TokenType::kNormal).Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(Two("<0xfF>", TokenType::kByte).Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(Two(std::string(65536, 'a'), TokenType::kNormal).Build()).ok());
  EXPECT_TRUE(Tokenizer::Create(SentencePiece()
                                    .Set("tokenizer.ggml.precompiled_charsmap",
                                         Uint8sValue({4, 0, 0, 0, 1, 2, 3, 4}))
                                    .Build())
                  .ok());
  EXPECT_TRUE(
      Tokenizer::Create(BytePairs().Set("tokenizer.ggml.eos_token_id", Uint32Value(255)).Build())
          .ok());
}

}  // namespace
}  // namespace forge
