#include "engine/text/special_matcher.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/engine/text/vocabulary_builder.h"

namespace forge {
namespace {

using testing::VocabularyBuilder;

TEST(SpecialMatcherTest, FindsTheLeftmostAndThenTheLongest) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId ab = builder.AddToken("ab", TokenType::kUserDefined);
  const TokenId abcd = builder.AddToken("abcd", TokenType::kUserDefined);
  const TokenId bcde = builder.AddToken("bcde", TokenType::kUserDefined);
  const GgufMetadata metadata = builder.Build();
  const auto vocabulary = Vocabulary::Read(metadata).value();
  const SpecialMatcher matcher(*vocabulary);

  const SpecialMatcher::Match longest = matcher.Next("xabcde", 0, false);
  EXPECT_EQ(longest.begin, 1u);
  EXPECT_EQ(longest.size, 4u);
  EXPECT_EQ(longest.token, abcd);
  EXPECT_EQ(matcher.Next("xabcx", 0, false).token, ab);
  EXPECT_EQ(matcher.Next("xabcde", 2, false).token, bcde);
  EXPECT_EQ(matcher.Next("abc", 1, false).begin, 3u);
  EXPECT_EQ(matcher.Next("", 0, false).begin, 0u);
}

// The text may sort behind many tokens that share its start but do not match.
TEST(SpecialMatcherTest, FindsPrefixesPastTokensThatSortBetween) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId a = builder.AddToken("a", TokenType::kUserDefined);
  const TokenId abc = builder.AddToken("abc", TokenType::kControl);
  builder.AddToken("abca", TokenType::kUserDefined);
  builder.AddToken("abcaz", TokenType::kUserDefined);
  builder.AddToken("abd", TokenType::kUserDefined);
  builder.AddToken("\xff", TokenType::kUserDefined);
  builder.AddToken("abc", TokenType::kUserDefined);  // a higher id with a text that is taken
  const GgufMetadata metadata = builder.Build();
  const auto vocabulary = Vocabulary::Read(metadata).value();
  const SpecialMatcher matcher(*vocabulary);
  EXPECT_EQ(matcher.Next("abcb", 0, true).token, abc);
  EXPECT_EQ(matcher.Next("abcb", 0, false).token, a);
  EXPECT_EQ(matcher.Next("ab", 0, true).token, a);
  EXPECT_EQ(matcher.Next("b\xff", 0, true).begin, 1u);
  // A control token that reaches into literal text does not count, but its prefix does.
  const jinja::ByteRange literal = {2, 3};
  EXPECT_EQ(matcher.Next("abcb", 0, true, {&literal, 1}).token, a);
}

TEST(SpecialMatcherTest, PassesControlTokensOverUnlessAsked) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const TokenId user = builder.AddToken("<|a", TokenType::kUserDefined);
  const TokenId control = builder.AddToken("<|a|>", TokenType::kControl);
  builder.AddToken("<|n|>", TokenType::kNormal);
  const GgufMetadata metadata = builder.Build();
  const auto vocabulary = Vocabulary::Read(metadata).value();
  const SpecialMatcher matcher(*vocabulary);

  EXPECT_EQ(matcher.Next("<|a|>", 0, true).token, control);
  EXPECT_EQ(matcher.Next("<|a|>", 0, false).token, user);
  EXPECT_EQ(matcher.Next("<|a|>", 0, false).size, 3u);
  EXPECT_EQ(matcher.Next("<|n|>", 0, true).size, 0u);
}

TEST(SpecialMatcherTest, LooksForNoTokenThatCouldCostTooMuch) {
  VocabularyBuilder builder = VocabularyBuilder::BytePairs();
  const std::string longest(SpecialMatcher::kMaxTokenBytes, 'a');
  const TokenId found = builder.AddToken(longest, TokenType::kControl);
  builder.AddToken(longest + "a", TokenType::kControl);
  builder.AddToken("", TokenType::kControl);
  const GgufMetadata metadata = builder.Build();
  const auto vocabulary = Vocabulary::Read(metadata).value();
  const SpecialMatcher matcher(*vocabulary);
  EXPECT_EQ(matcher.Next(longest + "a", 0, true).token, found);
  EXPECT_EQ(matcher.Next("b", 0, true).size, 0u);
}

}  // namespace
}  // namespace forge
