// Every text of every published vocabulary gives the ids of the upstream tokenizer, and back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/gguf/gguf_file.h"
#include "engine/text/characters.h"
#include "engine/text/tokenizer.h"
#include "tests/support/conformance.h"

namespace forge {
namespace {

std::unique_ptr<Tokenizer> Load(const std::filesystem::path& path) {
  const Result<std::unique_ptr<GgufFile>> file = GgufFile::Open(path.string());
  EXPECT_TRUE(file.ok()) << file.status().ToString();
  if (!file.ok()) return nullptr;
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Create((*file)->metadata());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().ToString();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

std::string DecodeInStream(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer, true);
  std::string text;
  for (const TokenId id : ids) text += decoder.Add(id);
  return text + decoder.Finish();
}

class TokenizerConformanceTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    FORGE_NEEDS_CONFORMANCE_DATA();
    const std::filesystem::path folder = testing::ConformanceDir() / "tokenizers";
    const std::string name = GetParam();
    tokenizer_ = Load(folder / ("vocab-" + name + ".gguf"));
    ASSERT_NE(tokenizer_, nullptr);
    std::ifstream stream(folder / ("tokens-" + name + ".json"));
    cases_ = nlohmann::json::parse(stream);
    ASSERT_GE(cases_.size(), 70u);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  nlohmann::json cases_;
};

TEST_P(TokenizerConformanceTest, EncodesAsUpstreamDoes) {
  for (const nlohmann::json& entry : cases_) {
    const std::string text = entry["text"];
    const std::vector<TokenId> expected = entry["ids"];
    EXPECT_EQ(tokenizer_->Encode(text, {.add_special = false, .parse_special = true}), expected)
        << entry["text"];
  }
}

TEST_P(TokenizerConformanceTest, DecodesToTheText) {
  const bool normalizes = std::string(GetParam()).starts_with("qwen");
  for (const nlohmann::json& entry : cases_) {
    const std::string text = entry["text"];
    const std::vector<TokenId> ids = entry["ids"];
    EXPECT_EQ(tokenizer_->Decode(ids, true), normalizes ? NormalizeNfc(text) : text)
        << entry["text"];
    EXPECT_EQ(DecodeInStream(*tokenizer_, ids), tokenizer_->Decode(ids, false)) << entry["text"];
  }
}

TEST_P(TokenizerConformanceTest, DecodesWhatItEncodesWithoutSpecialTokens) {
  const bool normalizes = std::string(GetParam()).starts_with("qwen");
  for (const nlohmann::json& entry : cases_) {
    const std::string text = entry["text"];
    const std::vector<TokenId> ids =
        tokenizer_->Encode(text, {.add_special = false, .parse_special = false});
    for (const TokenId id : ids) EXPECT_FALSE(tokenizer_->IsControl(id)) << id << " in " << text;
    EXPECT_EQ(tokenizer_->Decode(ids, false), normalizes ? NormalizeNfc(text) : text)
        << entry["text"];
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenizerConformanceTest,
                         ::testing::Values("gemma3", "gpt2", "llama2", "llama3_2", "mistral7b",
                                           "mistral_nemo", "qwen2_5", "qwen3", "yi"),
                         [](const auto& p) { return std::string(p.param); });

// The special tokens of a vocabulary, by name.
struct SpecialCase {
  const char* vocabulary;
  const char* bos;  // nullptr: none
  const char* eos;
  const char* eot;
  bool add_bos;
  std::vector<const char*> ends;
};

TEST(TokenizerSpecialConformanceTest, FindsTheSpecialTokensOfPublishedVocabularies) {
  FORGE_NEEDS_CONFORMANCE_DATA();
  const SpecialCase cases[] = {
      {"gpt2", "<|endoftext|>", "<|endoftext|>", nullptr, false, {"<|endoftext|>"}},
      {"qwen2_5", nullptr, "<|im_end|>", nullptr, false, {"<|im_end|>", "<|endoftext|>"}},
      {"llama2", "<s>", "</s>", nullptr, true, {"</s>"}},
      {"llama3_2",
       "<|begin_of_text|>",
       "<|eot_id|>",
       nullptr,
       true,
       {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}},
      {"mistral_nemo", "<s>", "</s>", nullptr, true, {"</s>"}},
      {"gemma3", "<bos>", "<end_of_turn>", nullptr, true, {"<end_of_turn>", "<eos>"}},
  };
  for (const SpecialCase& expected : cases) {
    SCOPED_TRACE(expected.vocabulary);
    const std::unique_ptr<Tokenizer> tokenizer =
        Load(testing::ConformanceDir() / "tokenizers" /
             ("vocab-" + std::string(expected.vocabulary) + ".gguf"));
    ASSERT_NE(tokenizer, nullptr);
    const auto id = [&](const char* name) {
      return name != nullptr ? tokenizer->FindToken(name) : std::nullopt;
    };
    EXPECT_EQ(tokenizer->special().bos, id(expected.bos));
    EXPECT_EQ(tokenizer->special().eos, id(expected.eos));
    EXPECT_EQ(tokenizer->special().eot, id(expected.eot));
    EXPECT_EQ(tokenizer->special().add_bos, expected.add_bos);
    std::vector<const char*> ends;
    size_t n_ends = 0;
    for (TokenId token = 0; token < static_cast<TokenId>(tokenizer->n_tokens()); ++token)
      n_ends += tokenizer->EndsGeneration(token) ? 1 : 0;
    EXPECT_EQ(n_ends, expected.ends.size());
    for (const char* name : expected.ends) {
      ASSERT_TRUE(id(name).has_value()) << name;
      EXPECT_TRUE(tokenizer->EndsGeneration(*id(name))) << name;
    }
  }
}

}  // namespace
}  // namespace forge
