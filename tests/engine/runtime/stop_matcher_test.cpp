#include "engine/runtime/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace forge {
namespace {

struct Outcome {
  std::string text;  // everything that came out
  bool found = false;
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << '"' << outcome.text << "\" found=" << outcome.found;
}

Outcome Feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.text += matcher.Add(piece);
  outcome.text += matcher.Finish();
  outcome.found = matcher.found();
  return outcome;
}

// Every way to cut `text` into pieces, one for each subset of the borders between its bytes.
std::vector<std::vector<std::string>> AllSplits(const std::string& text) {
  std::vector<std::vector<std::string>> splits;
  for (uint32_t borders = 0; borders < (1u << (text.size() - 1)); ++borders) {
    std::vector<std::string> pieces(1);
    for (size_t i = 0; i < text.size(); ++i) {
      pieces.back().push_back(text[i]);
      if (((borders >> i) & 1u) != 0) pieces.emplace_back();
    }
    splits.push_back(std::move(pieces));
  }
  return splits;
}

// The definition, written down naively: the stop string that ends first, the longest of those.
Outcome Expected(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops)
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0)
        longest = std::max(longest, stop.size());
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

struct Case {
  std::vector<std::string> stops;
  std::string text;
  Outcome outcome;
};

const Case kCases[] = {
    {{"STOP"}, "go STOP now", {"go ", true}},
    {{"STOP"}, "go STO now", {"go STO now", false}},
    {{"STOP"}, "STSTOP", {"ST", true}},
    {{"aab"}, "aaaab!", {"aa", true}},
    {{"abcd", "bc"}, "xabcdx", {"xa", true}},
    {{"bc", "abc"}, "xabcx", {"x", true}},
    {{"abab", "x"}, "ababab", {"", true}},
    {{"\n\n"}, "one\ntwo\n\nx", {"one\ntwo", true}},
    {{"\xc3\xa9"}, "caf\xc3\xa8 \xc3\xa9", {"caf\xc3\xa8 ", true}},
    {{}, "anything", {"anything", false}},
    {{"never"}, "ne", {"ne", false}},
};

TEST(StopMatcherTest, CutsAtTheFirstStopStringHoweverTheTextIsSplit) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.text);
    ASSERT_EQ(Expected(c.stops, c.text), c.outcome);
    for (const std::vector<std::string>& pieces : AllSplits(c.text))
      ASSERT_EQ(Feed(c.stops, pieces), c.outcome) << "in " << pieces.size() << " pieces";
  }
}

TEST(StopMatcherTest, AgreesWithTheDefinitionOnRandomTexts) {
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto word = [&random](size_t length) {
      std::string text;
      for (size_t i = 0; i < length; ++i) text.push_back("ab"[random() % 2]);
      return text;
    };
    std::vector<std::string> stops;
    for (uint32_t i = 0; i < 1 + seed % 3; ++i) stops.push_back(word(1 + random() % 6));
    std::string text;
    std::vector<std::string> pieces;
    for (int i = 0; i < 6; ++i) {
      pieces.push_back(word(random() % 5));
      text += pieces.back();
    }
    ASSERT_EQ(Feed(stops, pieces), Expected(stops, text));
  }
}

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBecomeAStopString) {
  StopMatcher matcher({"</s>", "<end>"});
  EXPECT_EQ(matcher.Add("hello <"), "hello ");
  EXPECT_EQ(matcher.Add("b"), "<b");
  EXPECT_EQ(matcher.Add("</"), "");
  EXPECT_EQ(matcher.Add("p><e"), "</p>");
  EXPECT_EQ(matcher.Add(""), "");
  EXPECT_EQ(matcher.Finish(), "<e");
  EXPECT_FALSE(matcher.found());
}

TEST(StopMatcherTest, GivesNothingOnceAStopStringWasFound) {
  StopMatcher matcher({"."});
  EXPECT_EQ(matcher.Add("a.b"), "a");
  EXPECT_TRUE(matcher.found());
  EXPECT_EQ(matcher.Add("c.d"), "");
  EXPECT_EQ(matcher.Finish(), "");
}

}  // namespace
}  // namespace forge
