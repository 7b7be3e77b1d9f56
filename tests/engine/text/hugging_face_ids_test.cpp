// What Hugging Face's tokenizers library 0.23.2 made of random texts with BERT's WordPiece,
// recorded by hugging_face/record.mjs. Nothing may differ.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "tests/engine/text/mixture_tokenizer.h"

namespace forge::testing {
namespace {

TEST(HuggingFaceIdsTest, EveryTextHasTheIdsThatUpstreamGivesIt) {
  const char* const other = std::getenv("FORGE_HUGGING_FACE_IDS");
  std::ifstream file(other != nullptr ? other : FORGE_HUGGING_FACE_IDS);
  const nlohmann::json recorded = nlohmann::json::parse(file);
  const auto texts = recorded["texts"].get<std::vector<std::string>>();
  std::set<std::string> names;
  for (const nlohmann::json& answer : recorded["answers"]) {
    const std::string name = answer["name"];
    names.insert(name);
    const std::unique_ptr<Tokenizer> tokenizer = MixtureTokenizer(name);
    const auto expected = answer["ids"].get<std::vector<std::vector<TokenId>>>();
    ASSERT_EQ(expected.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(tokenizer->Encode(texts[i], {.add_special = false}), expected[i])
          << name << " on " << ::testing::PrintToString(texts[i]);
  }
  EXPECT_EQ(names, (std::set<std::string>{"wordpiece", "wordpiece-accented", "wordpiece-cased"}));
}

}  // namespace
}  // namespace forge::testing
