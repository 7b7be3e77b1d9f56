#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"
#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using testing::VocabularyBuilder;

constexpr std::string_view kReplacement = "\ufffd";

// Replaces what is not UTF-8 as Unicode recommends: what a stream must add up to.
std::string Sanitized(std::string_view text) {
  std::string clean;
  for (size_t i = 0; i < text.size();) {
    const Utf8Step step = DecodeUtf8(text, i);
    clean += step.kind == Utf8Step::Kind::kCharacter ? text.substr(i, step.size) : kReplacement;
    i += step.size;
  }
  return clean;
}

bool IsUtf8(const std::string& text) { return Sanitized(text) == text; }

class StreamDecoderTest : public ::testing::Test {
 protected:
  // Feeds the bytes one token each, and checks after every step that only whole characters came.
  std::string DecodeBytes(std::string_view bytes) const {
    StreamDecoder decoder(*tokenizer_, true);
    std::string text;
    for (const char byte : bytes) {
      const std::string added = decoder.Add(static_cast<uint8_t>(byte));
      EXPECT_TRUE(IsUtf8(added)) << ::testing::PrintToString(bytes);
      text += added;
    }
    return text + decoder.Finish();
  }

  std::unique_ptr<Tokenizer> tokenizer_ = VocabularyBuilder::BytePairs().BuildTokenizer();
};

TEST_F(StreamDecoderTest, HoldsBackUntilACharacterIsComplete) {
  StreamDecoder decoder(*tokenizer_, true);
  EXPECT_EQ(decoder.Add('a'), "a");
  EXPECT_EQ(decoder.Add(0xf0), "");
  EXPECT_EQ(decoder.Add(0x9f), "");
  EXPECT_EQ(decoder.Add(0x98), "");
  EXPECT_EQ(decoder.Add(0x80), "\U0001f600");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST_F(StreamDecoderTest, ReplacesWhatCanNoLongerBecomeACharacter) {
  StreamDecoder decoder(*tokenizer_, true);
  EXPECT_EQ(decoder.Add(0xe2), "");
  EXPECT_EQ(decoder.Add(0x82), "");
  EXPECT_EQ(decoder.Add('x'), "\ufffdx");
  EXPECT_EQ(decoder.Add(0xff), "\ufffd");
  EXPECT_EQ(decoder.Add(0xc3), "");
  EXPECT_EQ(decoder.Finish(), "\ufffd");
  EXPECT_EQ(decoder.Finish(), "");
}

TEST_F(StreamDecoderTest, AddsUpToTheSanitizedTextForEveryPairOfLeadBytes) {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      const std::string bytes = {static_cast<char>(first), static_cast<char>(second), '\x80', 'a'};
      ASSERT_EQ(DecodeBytes(bytes), Sanitized(bytes)) << ::testing::PrintToString(bytes);
    }
}

TEST_F(StreamDecoderTest, AddsUpToTheSanitizedTextForEveryCut) {
  const std::string text = "a\u00e9\u20ac\U0001f600\u4e2d";
  for (size_t begin = 0; begin < text.size(); ++begin)
    for (size_t end = begin; end <= text.size(); ++end) {
      const std::string_view cut = std::string_view(text).substr(begin, end - begin);
      EXPECT_EQ(DecodeBytes(cut), Sanitized(cut));
    }
}

TEST(StreamDecoderSplitTest, GivesTheSameTextHoweverTokensSplitIt) {
  const std::string text = "x\u00e9\u20ac\U0001f600";  // 1 + 2 + 3 + 4 bytes
  const size_t n_cuts = text.size() - 1;
  for (uint32_t cuts = 0; cuts < 1u << n_cuts; ++cuts) {
    VocabularyBuilder builder = VocabularyBuilder::BytePairs();
    std::vector<TokenId> ids;
    size_t begin = 0;
    for (size_t end = 1; end <= text.size(); ++end) {
      if (end < text.size() && (cuts >> (end - 1) & 1) == 0) continue;
      std::string token;
      for (size_t i = begin; i < end; ++i)
        token += testing::ByteLevelCharacter(static_cast<uint8_t>(text[i]));
      ids.push_back(builder.AddToken(token));
      begin = end;
    }
    const auto tokenizer = builder.BuildTokenizer();
    StreamDecoder decoder(*tokenizer, false);
    std::string decoded;
    for (const TokenId id : ids) {
      const std::string added = decoder.Add(id);
      ASSERT_TRUE(IsUtf8(added));
      decoded += added;
    }
    ASSERT_EQ(decoded, text);
    ASSERT_EQ(decoder.Finish(), "");
  }
}

TEST(StreamDecoderSpaceTest, DropsTheLeadingSpaceOnlyWhereATextStarts) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  const TokenId space_a = builder.AddToken("\u2581a");
  const TokenId space = builder.AddToken("\u2581");
  const auto tokenizer = builder.BuildTokenizer();
  const auto decode = [&](bool skip, const std::vector<TokenId>& ids) {
    StreamDecoder decoder(*tokenizer, skip);
    std::string text;
    for (const TokenId id : ids) text += decoder.Add(id);
    return text;
  };
  EXPECT_EQ(decode(true, {space_a, space_a}), "a a");
  EXPECT_EQ(decode(false, {space_a, space_a}), " a a");
  EXPECT_EQ(decode(true, {space, space_a}), " a");
  EXPECT_EQ(decode(true, {1, space_a}), "a");              // <s> is no text
  EXPECT_EQ(decode(false, {space_a, 2, space_a}), " aa");  // Encode puts one after </s>
}

TEST(StreamDecoderSpaceTest, KeepsTheSpaceWhereTheModelAddsNone) {
  VocabularyBuilder builder = VocabularyBuilder::SentencePiece();
  const TokenId space_a = builder.AddToken("\u2581a");
  builder.Set("tokenizer.ggml.add_space_prefix", testing::BoolValue(false));
  const auto tokenizer = builder.BuildTokenizer();
  StreamDecoder decoder(*tokenizer, true);
  EXPECT_EQ(decoder.Add(space_a), " a");
}

TEST(StreamDecoderSpaceTest, PutsASpaceBeforeEachWordOfWordPieceButTheFirst) {
  VocabularyBuilder builder = VocabularyBuilder::WordPiece();
  const TokenId un = builder.AddToken("\u2581un");
  const TokenId known = builder.AddToken("known");
  const auto tokenizer = builder.BuildTokenizer();
  const auto decode = [&](bool skip, const std::vector<TokenId>& ids) {
    StreamDecoder decoder(*tokenizer, skip);
    std::string text;
    for (const TokenId id : ids) text += decoder.Add(id);
    return text + decoder.Finish();
  };
  constexpr TokenId kUnknown = 1, kCls = 2, kSep = 3;
  EXPECT_EQ(decode(true, {un, known, un}), "unknown un");
  EXPECT_EQ(decode(false, {un, known, un}), " unknown un");
  EXPECT_EQ(decode(true, {kCls, un, known, kSep}), "unknown");
  EXPECT_EQ(decode(true, {un, kUnknown, un, kSep, un}), "un un un");
}

}  // namespace
}  // namespace forge
