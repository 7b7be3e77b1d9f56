// What llama.cpp 0.7.0 made of random texts with each tokenizer, recorded by
// llama_cpp/record.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "engine/text/character_runs.h"
#include "engine/text/characters.h"
#include "engine/text/pre_tokenizer.h"
#include "engine/text/tokenizer.h"
#include "tests/engine/text/mixture_tokenizer.h"

namespace forge::testing {
namespace {

const nlohmann::json& Recorded() {
  static const nlohmann::json recorded = [] {
    const char* const other = std::getenv("FORGE_LLAMA_CPP_IDS");
    std::ifstream file(other != nullptr ? other : FORGE_LLAMA_CPP_IDS);
    return nlohmann::json::parse(file);
  }();
  return recorded;
}

bool AnyCharacter(std::string_view text, bool (*is_such)(const Char&)) {
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    if (is_such(c)) return true;
    i += c.size;
  }
  return false;
}

// Where a word ends because an upper-case letter begins another one.
bool SplitsByCase(std::string_view text) {
  bool may_end = false;
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    if (may_end && c.Is(kUpper)) return true;
    may_end = Matches(c, kLetter | kMark, kUpper);
    i += c.size;
  }
  return false;
}

// A number that is none of ASCII digits, that a word goes on after, or before which spaces end.
bool HasNumberThatIsNotBetweenSigns(std::string_view text) {
  Char before = {};
  for (size_t i = 0; i < text.size();) {
    const Char c = CharAt(text, i);
    const bool goes_on = c.Is(kLetter | kMark) || c.code_point == '_';
    if (c.Is(kNumber) && (c.size > 1 || before.Is(kSpace))) return true;
    if (before.Is(kNumber) && goes_on) return true;
    before = c;
    i += c.size;
  }
  return false;
}

// Where llama.cpp leaves the upstream tokenizer, which we follow: docs/tokenizers.md, "Where
// llama.cpp differs".
struct Difference {
  std::set<std::string> names;
  bool (*concerns)(const std::string& text);
};

const Difference kDifferences[] = {
    {{"qwen2", "deepseek-r1-qwen", "qwen35"},
     [](const std::string& text) { return NormalizeNfc(text) != text; }},
    {{"tekken", "gpt-4o", "llama4", "kanana2", "minimax-m2"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) { return c.size > 1 && c.Is(kLetter | kMark); });
     }},
    {{"kimi-k2", "tiny_aya", "youtu"}, [](const std::string& text) { return SplitsByCase(text); }},
    {{"kimi-k2"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) { return c.Is(kMark); });
     }},
    {{"tiny_aya"}, [](const std::string& text) { return HasNumberThatIsNotBetweenSigns(text); }},
    {{"deepseek-llm", "deepseek-coder"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) { return c.size > 1 && c.Is(kSpace); });
     }},
    {{"superbpe"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) { return c.size > 1 && c.Is(kDigit); });
     }},
    {{"wordpiece"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) {
         const bool is_hangul = c.code_point >= 0xac00 && c.code_point <= 0xd7a3;
         return is_hangul || (c.Is(kMark) && !IsNonspacingMark(c.code_point));
       });
     }},
    {{"wordpiece", "wordpiece-accented", "wordpiece-cased"},
     [](const std::string& text) {
       return AnyCharacter(text, [](const Char& c) {
         const bool is_plain = c.code_point == '\t' || c.Is(kNewline);
         return c.Is(kSpace) && !is_plain && IsControl(c.code_point);
       });
     }},
};

bool IsKnownToDiffer(const std::string& name, const std::string& text) {
  return std::ranges::any_of(kDifferences, [&](const Difference& difference) {
    return difference.names.contains(name) && difference.concerns(text);
  });
}

TEST(LlamaCppIdsTest, EveryTextHasTheIdsThatLlamaCppGivesIt) {
  const auto texts = Recorded()["texts"].get<std::vector<std::string>>();
  for (const nlohmann::json& answer : Recorded()["answers"]) {
    const auto expected = answer["ids"].get<std::vector<std::vector<TokenId>>>();
    ASSERT_EQ(expected.size(), texts.size());
    for (const std::string name : answer["names"]) {
      const std::unique_ptr<Tokenizer> tokenizer = MixtureTokenizer(name);
      size_t n_compared = 0;
      for (size_t i = 0; i < texts.size(); ++i) {
        if (IsKnownToDiffer(name, texts[i])) continue;
        ++n_compared;
        EXPECT_EQ(tokenizer->Encode(texts[i], {.add_special = false}), expected[i])
            << name << " on " << ::testing::PrintToString(texts[i]);
      }
      EXPECT_GT(n_compared, texts.size() / 8) << name;
    }
  }
}

TEST(LlamaCppIdsTest, EveryTokenizerIsRecorded) {
  std::set<std::string> recorded;
  for (const nlohmann::json& answer : Recorded()["answers"])
    for (const std::string name : answer["names"]) recorded.insert(name);
  std::set<std::string> known = {"gemma4",    "sentencepiece",      "sentencepiece-unspaced",
                                 "wordpiece", "wordpiece-accented", "wordpiece-cased"};
  for (const PreTokenizer& pre_tokenizer : PreTokenizers()) known.emplace(pre_tokenizer.name);
  EXPECT_EQ(known, recorded);
}

}  // namespace
}  // namespace forge::testing
