#include "client/commands/generate_flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "tests/support/temporary_files.h"

namespace forge::client {
namespace {

v1::GenerateRequest::Turn Parse(const std::string& line) {
  CLI::App app;
  GenerateFlags flags;
  AddGenerateFlags(app, flags);
  app.parse(line);
  return ToTurn(flags);
}

TEST(GenerateFlagsTest, LeavesUnsetSamplingToTheDaemon) {
  const v1::SamplingOptions sampling = Parse("demo hello").sampling();
  EXPECT_FALSE(sampling.has_temperature());
  EXPECT_FALSE(sampling.has_top_k());
  EXPECT_FALSE(sampling.has_seed());
}

TEST(GenerateFlagsTest, TellsZeroFromUnset) {
  const v1::GenerateRequest::Turn turn = Parse("demo hello --temperature 0 --seed 0 --top-k 0");
  EXPECT_TRUE(turn.sampling().has_temperature());
  EXPECT_EQ(turn.sampling().temperature(), 0.0f);
  EXPECT_TRUE(turn.sampling().has_seed());
  EXPECT_TRUE(turn.sampling().has_top_k());
}

TEST(GenerateFlagsTest, ReadsEveryFlag) {
  const v1::GenerateRequest::Turn turn = Parse(
      "demo --token-ids 1,2,3 --max-tokens 7 --top-logprobs 24 --stop END --stop-token 5 "
      "--top-p 0.5 --min-p 0.1 --typical-p 0.9 --repetition-penalty 1.1 --presence-penalty 0.2 "
      "--frequency-penalty 0.3 --penalty-window -1 --logit-bias 9=-100 --ignore-end");
  EXPECT_EQ(turn.model(), "demo");
  EXPECT_EQ(turn.max_tokens(), 7u);
  EXPECT_EQ(turn.top_logprobs(), 24u);
  EXPECT_EQ(turn.stop_strings(0), "END");
  EXPECT_EQ(turn.stop_tokens(0), 5);
  EXPECT_TRUE(turn.ignore_end_of_text());
  const v1::SamplingOptions& sampling = turn.sampling();
  EXPECT_FLOAT_EQ(sampling.top_p(), 0.5f);
  EXPECT_FLOAT_EQ(sampling.min_p(), 0.1f);
  EXPECT_FLOAT_EQ(sampling.typical_p(), 0.9f);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty(), 1.1f);
  EXPECT_FLOAT_EQ(sampling.presence_penalty(), 0.2f);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty(), 0.3f);
  EXPECT_EQ(sampling.penalty_window(), -1);
  EXPECT_FLOAT_EQ(sampling.logit_bias().at(9), -100.0f);
}

TEST(GenerateFlagsTest, TakesOneValueForEachRepeatedFlag) {
  CLI::App app;
  GenerateFlags flags;
  AddGenerateFlags(app, flags);
  app.parse("demo --stop a --stop b --stop-token 5 --logit-bias 1=2 \"the prompt\"");
  EXPECT_EQ(flags.prompt, std::vector<std::string>{"the prompt"});
  EXPECT_EQ(flags.stop_strings, (std::vector<std::string>{"a", "b"}));
}

TEST(GenerateFlagsTest, RefusesMalformedLogitBias) {
  for (const char* bias : {"9", "=1", "9=", "x=1", "9=1x", "9:1"}) {
    SCOPED_TRACE(bias);
    EXPECT_THROW(Parse(std::string("demo hi --logit-bias ") + bias), CLI::ValidationError);
  }
}

TEST(GenerateFlagsTest, TakesASchemaInlineOrFromAFileAndAGrammarFromAFile) {
  const testing::TempFile file("{\"type\":\"null\"}", ".json");
  const std::string path = file.path().string();
  EXPECT_EQ(Parse("demo hi --json-schema true").json_schema(), "true");
  EXPECT_EQ(Parse("demo hi --json-schema " + path).json_schema(), "{\"type\":\"null\"}");
  EXPECT_EQ(Parse("demo hi --json-schema '{}'").json_schema(), "{}");
  EXPECT_EQ(Parse("demo hi --grammar " + path).grammar(), "{\"type\":\"null\"}");
  EXPECT_FALSE(Parse("demo hi").has_json_schema());
  EXPECT_THROW(Parse("demo hi --grammar /no/such/file"), CLI::ValidationError);
  EXPECT_THROW(Parse("demo hi --json-schema {} --grammar " + path), CLI::ParseError);
}

TEST(GenerateFlagsTest, RefusesChatAndRawTogether) {
  EXPECT_THROW(Parse("demo hi --chat --raw"), CLI::ParseError);
  EXPECT_THROW(Parse("demo --chat --token-ids 1"), CLI::ParseError);
}

}  // namespace
}  // namespace forge::client
