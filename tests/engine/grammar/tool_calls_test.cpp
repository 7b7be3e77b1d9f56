#include "engine/grammar/tool_calls.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/engine/grammar/grammar_reader.h"

namespace forge {
namespace {

using testing::GrammarReader;
using ::testing::HasSubstr;

constexpr char kSchema[] =
    R"({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"enum": ["x", "y"]}},
        "required": ["b"], "additionalProperties": false})";

std::vector<ChatTool> Tools() {
  return {{.name = "free", .description = "does", .parameters_json = kSchema},
          {.name = "held", .description = {}, .parameters_json = kSchema, .is_strict = true},
          {.name = "bare", .description = {}, .parameters_json = {}, .is_strict = true}};
}

GrammarReader ReaderOf(ToolFormat format, std::string_view end) {
  return GrammarReader(CompileConstraint(MakeCallConstraint(format, end, Tools())).value());
}

TEST(ToolCallGrammarTest, AllowsWhatModelsWriteBetweenTheMarkersOfQwen) {
  GrammarReader calls = ReaderOf(ToolFormat::kQwen, "</tool_call>");
  for (const char* body :
       {"\n{\"name\": \"free\", \"arguments\": {\"z\": [1, {\"b\": \"ü\\n\"}]}}\n</tool_call>",
        "{\"name\":\"held\",\"arguments\":{\"b\":1,\"a\":\"x\"}}</tool_call>",
        "\n{\"name\": \"held\", \"arguments\": {\"b\": -7}}\n</tool_call>",
        "\n{\"arguments\": {\"b\": 3}, \"name\": \"held\"}\n</tool_call>",
        "{\n  \"name\": \"bare\",\n  \"arguments\": {}\n}\n</tool_call>"})
    EXPECT_TRUE(calls.EndsWith(body)) << body;
  for (const char* body :
       {"{\"name\": \"other\"", "{\"name\": \"free\", \"arguments\": []", "{\"id\"",
        "{\"arguments\": {\"c\": 1}, \"name\": \"held\"", "{\"name\": \"held\", \"arguments\": {}",
        "{\"name\": \"held\", \"arguments\": {\"a\"",
        "{\"name\": \"held\", \"arguments\": {\"b\": 1, \"a\": \"z\"",
        "{\"name\": \"bare\", \"arguments\": {\"b\"", "</tool_call>", "<function=free>",
        "{\"name\": \"free\", \"arguments\": {}}</tool_call>x",
        "{\"name\": \"free\", \"arguments\": {}}, {"})
    EXPECT_FALSE(calls.Begins(body)) << body;
}

TEST(ToolCallGrammarTest, AllowsListsInTheShapeOfTheirFormat) {
  GrammarReader granite = ReaderOf(ToolFormat::kGranite, "");
  const std::string free = "{\"name\": \"free\", \"arguments\": {}}";
  EXPECT_TRUE(granite.Accepts("[" + free + "]"));
  EXPECT_TRUE(granite.Accepts(" [" + free + ", " + free + ",\n" + free + "]"));
  EXPECT_FALSE(granite.Begins("[]"));
  EXPECT_FALSE(granite.Begins(free));
  EXPECT_TRUE(ReaderOf(ToolFormat::kMistral, "")
                  .Accepts(R"([{"name": "free", "arguments": {"a": 1}, "id": "abcdefghi"}])"));
  GrammarReader command = ReaderOf(ToolFormat::kCommand, "<|END_ACTION|>");
  EXPECT_TRUE(command.EndsWith(
      "[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"held\", \"parameters\": {\"b\": 1}}\n]"
      "<|END_ACTION|>"));
  EXPECT_TRUE(command.Begins("[{\"tool_name\": \"free\", \"parameters\": {"));
  EXPECT_FALSE(command.Begins("[{\"name\""));
  GrammarReader named = ReaderOf(ToolFormat::kGptOss, "");
  EXPECT_TRUE(named.Accepts("held\n{\"b\": 1}"));
  EXPECT_FALSE(named.Begins("held\n{\"a\""));
  EXPECT_FALSE(named.Begins("other"));
}

TEST(ToolCallGrammarTest, HoldsNothingThatIsNoJson) {
  for (const ToolFormat format :
       {ToolFormat::kNone, ToolFormat::kQwenCoder, ToolFormat::kSeed, ToolFormat::kGlm,
        ToolFormat::kMiniMax, ToolFormat::kOlmo, ToolFormat::kLfm2, ToolFormat::kLlama3,
        ToolFormat::kMistralNamed, ToolFormat::kDeepSeek, ToolFormat::kGemma4})
    EXPECT_FALSE(CanHoldCalls(format));
}

TEST(ToolCallGrammarTest, RefusesTheSchemaOfAStrictToolOnly) {
  const auto status_of = [](bool is_strict) {
    const std::vector<ChatTool> tools = {
        {.name = "f",
         .description = {},
         .parameters_json = R"({"type": "object", "propertyNames": {"pattern": "a"}})",
         .is_strict = is_strict}};
    return CompileConstraint(MakeCallConstraint(ToolFormat::kQwen, "", tools)).status();
  };
  EXPECT_TRUE(status_of(false).ok());
  const Status refused = status_of(true);
  EXPECT_EQ(refused.reason(), "SCHEMA_UNSUPPORTED");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("tool 'f'"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("propertyNames"));
  EXPECT_THAT(refused.details(), ::testing::Contains(::testing::Pair("field", "chat.tools")));
}

}  // namespace
}  // namespace forge
