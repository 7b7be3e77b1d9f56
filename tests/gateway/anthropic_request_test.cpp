#include "gateway/translate/anthropic_request.h"

#include <gtest/gtest.h>

#include "tests/gateway/refused_field.h"

namespace forge::gateway {
namespace {

constexpr char kQuestion[] = R"("messages": [{"role": "user", "content": "hi"}])";
constexpr char kTools[] =
    R"("tools": [{"name": "f", "description": "does it", "input_schema": {"type": "object", "properties": {"z": {}, "a": {}}}},
                 {"type": "custom", "name": "g", "input_schema": {}, "strict": true, "defer_loading": true, "cache_control": {"type": "ephemeral"}}])";

// A request with further fields: `"top_k": 1`.
Result<AnthropicRequest> Read(const std::string& fields) {
  const Result<Json> body =
      ParseBody(R"({"model": "demo", "max_tokens": 9, )" + std::string(kQuestion) +
                (fields.empty() ? "" : ", ") + fields + "}");
  if (!body.ok()) return body.status();
  return ReadAnthropicRequest(*body);
}

// One with these messages, and further fields.
Result<AnthropicRequest> ReadMessagesOf(const std::string& messages,
                                        const std::string& fields = R"("stream": false)") {
  return ReadAnthropicRequest(*ParseBody(R"({"model": "demo", "max_tokens": 9, "messages": )" +
                                         messages + ", " + fields + "}"));
}

// The conversation in short: "role: content".
std::string Told(const Result<AnthropicRequest>& request) {
  if (!request.ok()) return "refused: " + std::string(request.status().message());
  std::string told;
  for (const v1::ChatMessage& message : request->turn.chat().messages())
    told += (told.empty() ? "" : " | ") + message.role() + ": " + message.content();
  return told;
}

TEST(AnthropicRequestTest, LeavesToTheDaemonWhatIsUnset) {
  const Result<AnthropicRequest> request = Read("");
  ASSERT_TRUE(request.ok()) << request.status().message();
  v1::GenerateRequest::Turn expected;
  expected.set_model("demo");
  expected.set_max_tokens(9);
  expected.mutable_sampling();
  v1::ChatMessage& message = *expected.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content("hi");
  EXPECT_EQ(request->turn.DebugString(), expected.DebugString());
  EXPECT_FALSE(request->stream);
  EXPECT_TRUE(request->shows_thoughts);
}

TEST(AnthropicRequestTest, TranslatesSamplingAndStops) {
  const Result<AnthropicRequest> request = Read(
      R"("temperature": 0.5, "top_p": 0.25, "top_k": 7, "stop_sequences": ["a", "b"], "stream": true)");
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->turn.sampling().temperature(), 0.5f);
  EXPECT_EQ(request->turn.sampling().top_p(), 0.25f);
  EXPECT_EQ(request->turn.sampling().top_k(), 7);
  EXPECT_EQ(request->turn.stop_strings_size(), 2);
  EXPECT_TRUE(request->stream);
}

TEST(AnthropicRequestTest, ReadsTheSystemAsTextOrBlocks) {
  EXPECT_EQ(Told(Read(R"("system": "Be brief.")")), "system: Be brief. | user: hi");
  EXPECT_EQ(
      Told(
          Read(R"("system": [{"type": "text", "text": "A.", "cache_control": {"type": "ephemeral"}},
                                    {"type": "text", "text": "B.\n"}, {"type": "text", "text": "C."}])")),
      "system: A.\nB.\nC. | user: hi");
  EXPECT_EQ(Told(Read(R"("system": [])")), "user: hi");
}

TEST(AnthropicRequestTest, LeavesOutWhatClaudeCodeCountsItsRequestsBy) {
  EXPECT_EQ(
      Told(Read(
          R"("system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.177.01c; cch=36ee5;"},
                                    {"type": "text", "text": "You are Claude Code."}])")),
      "system: You are Claude Code. | user: hi");
  EXPECT_EQ(
      Told(Read(R"("system": "x-anthropic-billing-header: cch=36ee5;\nYou are Claude Code.")")),
      "system: You are Claude Code. | user: hi");
  EXPECT_EQ(Told(Read(R"("system": "")")), "user: hi");
}

TEST(AnthropicRequestTest, TellsLaterInstructionsWhereTheyStand) {
  EXPECT_EQ(
      Told(ReadMessagesOf(
          R"([{"role": "system", "content": "B."}, {"role": "user", "content": "hi"},
              {"role": "system", "content": [{"type": "text", "text": "C."}]},
              {"role": "assistant", "content": "yes"}, {"role": "user", "content": "so"}])",
          R"("system": "A.")")),
      "system: A.\nB. | user: hi\n<system-reminder>\nC.\n</system-reminder> | assistant: yes | "
      "user: so");
}

TEST(AnthropicRequestTest, MakesOneMessageOfWhatOneSideSaysInARow) {
  EXPECT_EQ(
      Told(ReadMessagesOf(
          R"([{"role": "user", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "b"}]},
                    {"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
                    {"role": "assistant", "content": "e"}, {"role": "user", "content": []}])")),
      "user: a\nb | assistant: cde | user: ");
}

TEST(AnthropicRequestTest, TranslatesUsesOfToolsAndTheirResults) {
  const Result<AnthropicRequest> request = ReadMessagesOf(
      R"([{"role": "user", "content": "weather?"},
          {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I ask.", "signature": "Zm9yZ2U="},
            {"type": "redacted_thinking", "data": "xyz"},
            {"type": "text", "text": "One moment."},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"at": 1, "in": {}}},
            {"type": "tool_use", "id": "c2", "name": "g", "input": {}}]},
          {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c2", "content": "noon"},
            {"type": "tool_result", "tool_use_id": "c1", "is_error": true, "content": [
              {"type": "text", "text": "no such"}, {"type": "text", "text": "place"}]},
            {"type": "text", "text": "Go on."}]}])",
      kTools);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(Told(request),
            "user: weather? | assistant: One moment. | tool: noon | tool: Error: no such\nplace | "
            "user: Go on.");
  const v1::ChatMessages& chat = request->turn.chat();
  EXPECT_EQ(chat.messages(1).reasoning(), "I ask.");
  EXPECT_EQ(chat.messages(1).tool_calls(0).arguments_json(), R"({"at":1,"in":{}})");
  EXPECT_EQ(chat.messages(1).tool_calls(1).name(), "g");
  EXPECT_EQ(chat.messages(2).tool_call_id(), "c2");
  EXPECT_EQ(chat.messages(2).name(), "g");  // of the call that it answers
  EXPECT_EQ(chat.messages(3).name(), "f");
  EXPECT_EQ(chat.tools(0).description(), "does it");
  EXPECT_EQ(chat.tools(0).parameters_json(), R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(chat.tools(1).name(), "g");
}

TEST(AnthropicRequestTest, TakesResultsWithoutTextAndOfToolsThatAreSearched) {
  const auto result = [](const std::string& rest) {
    return Told(ReadMessagesOf(
        R"([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1")" + rest +
        "}]}]"));
  };
  EXPECT_EQ(result(""), "tool: ");
  EXPECT_EQ(result(R"(, "content": [])"), "tool: ");
  EXPECT_EQ(result(R"(, "content": "Error: none", "is_error": true)"), "tool: Error: none");
  EXPECT_EQ(result(R"(, "content": [{"type": "tool_reference", "tool_name": "mcp__a__b"}])"),
            "tool: The tool mcp__a__b can be called.");
}

TEST(AnthropicRequestTest, ReadsWhetherToolsMayBeCalled) {
  const auto choose = [](const std::string& choice) {
    return Read(kTools + std::string(", \"tool_choice\": ") + choice);
  };
  EXPECT_EQ(choose(R"({"type": "auto"})")->turn.chat().tools_size(), 2);
  EXPECT_FALSE(choose(R"({"type": "auto"})")->one_tool_call);
  EXPECT_TRUE(choose(R"({"type": "auto", "disable_parallel_tool_use": true})")->one_tool_call);
  EXPECT_EQ(choose(R"({"type": "none"})")->turn.chat().tools_size(), 0);
  const auto named = choose(R"({"type": "tool", "name": "f"})");
  EXPECT_EQ(named->forced_call->function, "f");
  EXPECT_EQ(named->turn.json_schema(), R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(choose(R"({"type": "any"})")->forced_call->function, "");
  EXPECT_EQ(RefusedField(choose(R"({"type": "tool", "name": "h"})")), "tool_choice.name");
  EXPECT_EQ(RefusedField(choose(R"({"type": "tool"})")), "tool_choice.name");
  EXPECT_EQ(RefusedField(choose(R"({"type": "required"})")), "tool_choice.type");
  EXPECT_EQ(RefusedField(choose("\"auto\"")), "tool_choice");
  EXPECT_EQ(RefusedField(Read(R"("tool_choice": {"type": "any"})")), "tool_choice");
}

TEST(AnthropicRequestTest, HandsThinkingAndEffortToTheTemplate) {
  const auto options = [](const std::string& fields) {
    return Read(fields)->turn.chat().template_options_json();
  };
  EXPECT_EQ(options(R"("thinking": {"type": "enabled", "budget_tokens": 2048})"),
            R"({"enable_thinking":true})");
  EXPECT_EQ(options(R"("thinking": {"type": "disabled"})"), R"({"enable_thinking":false})");
  EXPECT_EQ(options(R"("thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"})"),
            R"({"enable_thinking":true,"reasoning_effort":"high"})");
  EXPECT_EQ(options(R"("output_config": {"effort": "low"})"), R"({"reasoning_effort":"low"})");
  EXPECT_EQ(
      options(
          R"("chat_template_kwargs": {"enable_thinking": false}, "thinking": {"type": "adaptive"})"),
      R"({"enable_thinking":false})");
  EXPECT_FALSE(Read(R"("thinking": {"type": "adaptive", "display": "omitted"})")->shows_thoughts);
  EXPECT_TRUE(Read(R"("thinking": {"type": "adaptive", "display": "summarized"})")->shows_thoughts);
}

TEST(AnthropicRequestTest, HoldsTheAnswerToAFormat) {
  const std::string format =
      R"({"type": "json_schema", "schema": {"type": "object", "properties": {"z": {}}}})";
  for (const std::string& fields :
       {R"("output_config": {"format": )" + format + "}", R"("output_format": )" + format})
    EXPECT_EQ(Read(fields)->turn.json_schema(), R"({"type":"object","properties":{"z":{}}})");
  EXPECT_EQ(RefusedField(Read(R"("output_config": {"format": {"type": "xml"}})")),
            "output_config.format.type");
  EXPECT_EQ(RefusedField(Read(R"("output_format": {"type": "json_schema"})")),
            "output_format.schema");
}

TEST(AnthropicRequestTest, RefusesByNameWhatWouldChangeTheAnswer) {
  const struct {
    const char* fields;
    const char* refused;
  } kCases[] = {
      {R"("mcp_servers": [{"type": "url", "url": "http://169.254.0.1/", "name": "x"}])",
       "mcp_servers"},
      {R"("container": "c1")", "container"},
      {R"("tools": [{"type": "web_search_20250305", "name": "web_search"}])", "tools[0].type"},
      {R"("tools": [{"type": "bash_20250124", "name": "bash"}])", "tools[0].type"},
      {R"("tools": [{"name": ""}])", "tools[0].name"},
      {R"("tools": [{"name": "f", "input_schema": []}])", "tools[0].input_schema"},
      {R"("tools": [5])", "tools[0]"},
      {R"("thinking": {"type": "deep"})", "thinking.type"},
      {R"("thinking": true)", "thinking"},
      {R"("temperature": "hot")", "temperature"},
      {R"("stop_sequences": [1])", "stop_sequences"},
      {R"("stream": "yes")", "stream"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("max_tokens": null)", "max_tokens"},
      {R"("model": "")", "model"},
      {R"("system": 5)", "system"},
      {R"("system": [{"type": "image"}])", "system[0].type"},
  };
  for (const auto& test_case : kCases)
    EXPECT_EQ(RefusedField(Read(test_case.fields)), test_case.refused) << test_case.fields;
  EXPECT_EQ(RefusedField(ReadAnthropicRequest(*ParseBody(
                R"({"model": "demo", "messages": [{"role": "user", "content": "hi"}]})"))),
            "max_tokens");
}

// What would be refused in each request that follows.
TEST(AnthropicRequestTest, TellsOfPicturesInResultsInWords) {
  const auto request = ReadMessagesOf(
      R"([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [
          {"type": "text", "text": "cat.png"},
          {"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}},
          {"type": "document", "source": {}}]}]}])");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(request->turn.chat().messages(0).content(),
            "cat.png\n[an image, which this model cannot see]\n"
            "[a file, which this model cannot read]");
}

TEST(AnthropicRequestTest, RefusesBlocksByName) {
  const auto refused = [](const std::string& role, const std::string& block) {
    return RefusedField(
        ReadMessagesOf(R"([{"role": ")" + role + R"(", "content": [)" + block + "]}]"));
  };
  for (const char* block :
       {R"({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})",
        R"({"type": "document", "source": {"type": "url", "url": "http://169.254.0.1/"}})",
        R"({"type": "tool_use", "id": "a", "name": "f", "input": {}})", R"({"text": "a"})"})
    EXPECT_EQ(refused("user", block), "messages[0].content[0].type") << block;
  for (const char* block : {R"({"type": "server_tool_use"})", R"({"type": "image"})",
                            R"({"type": "tool_result", "tool_use_id": "a"})"})
    EXPECT_EQ(refused("assistant", block), "messages[0].content[0].type") << block;
  EXPECT_EQ(
      refused("user",
              R"({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "search"}]})"),
      "messages[0].content[0].content[0].type");
  EXPECT_EQ(refused("user", R"({"type": "tool_result"})"), "messages[0].content[0].tool_use_id");
  EXPECT_EQ(refused("user", R"({"type": "text"})"), "messages[0].content[0].text");
  EXPECT_EQ(refused("user", "5"), "messages[0].content[0]");
  EXPECT_EQ(refused("assistant", R"({"type": "tool_use", "id": "a", "name": ""})"),
            "messages[0].content[0].name");
  EXPECT_EQ(refused("assistant", R"({"type": "tool_use", "id": "a", "name": "f", "input": "x"})"),
            "messages[0].content[0].input");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"([{"role": "user", "content": 5}])")),
            "messages[0].content");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"([{"role": "user"}])")), "messages[0].content");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"([{"role": "tool", "content": "x"}])")),
            "messages[0].role");
  EXPECT_EQ(Told(ReadMessagesOf(R"([{"content": "x"}])")),
            "refused: messages[0].role must be user, assistant or system");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"(["x"])")), "messages[0]");
  EXPECT_EQ(RefusedField(ReadMessagesOf("[]")), "messages");
}

TEST(AnthropicRequestTest, RefusesToContinueAnAnswerThatWasBegun) {
  EXPECT_EQ(
      RefusedField(ReadMessagesOf(
          R"([{"role": "user", "content": "JSON?"}, {"role": "assistant", "content": "{"}])")),
      "messages");
}

TEST(AnthropicRequestTest, LeavesAloneWhatAsksForNothingHere) {
  EXPECT_EQ(
      RefusedField(Read(
          R"("metadata": {"user_id": "u"}, "service_tier": "auto", "container": null, "mcp_servers": [],
                   "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
                   "cache_control": {"type": "ephemeral"}, "speed": "standard", "tools": [])")),
      "");
}

TEST(AnthropicRequestTest, ReadsManyResultsInTime) {
  std::string messages = R"([{"role": "user", "content": "go"})";
  std::string results;
  std::string calls;
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = "\"c" + std::to_string(i) + "\"";
    calls +=
        (i == 0 ? "" : ",") + std::string(R"({"type": "tool_use", "name": "f", "id": )") + id + "}";
    results +=
        (i == 0 ? "" : ",") + std::string(R"({"type": "tool_result", "tool_use_id": )") + id + "}";
  }
  messages += R"(, {"role": "assistant", "content": [)" + calls +
              R"(]}, {"role": "user", "content": [)" + results + "]}]";
  const Result<AnthropicRequest> request = ReadMessagesOf(messages);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->turn.chat().messages_size(), 20'002);
  EXPECT_EQ(request->turn.chat().messages(20'001).name(), "f");
}

TEST(CountRequestTest, HasThePromptOfARequest) {
  const Result<v1::TokenizeRequest> request = ReadCountRequest(*ParseBody(
      R"({"model": "demo", "system": "A.", "thinking": {"type": "disabled"}, )" +
      std::string(kTools) +
      R"(, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]})"));
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->model(), "demo");
  EXPECT_TRUE(request->ids_only());
  EXPECT_EQ(request->chat().messages_size(), 3);
  EXPECT_EQ(request->chat().tools_size(), 2);
  EXPECT_EQ(request->chat().template_options_json(), R"({"enable_thinking":false})");
  EXPECT_EQ(RefusedField(ReadCountRequest(*ParseBody(R"({"model": "demo"})"))), "messages");
  EXPECT_EQ(RefusedField(ReadCountRequest(*ParseBody("{}"))), "model");
}

}  // namespace
}  // namespace forge::gateway
