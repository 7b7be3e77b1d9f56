#include "gateway/translate/chat_request.h"

#include <gtest/gtest.h>

#include "tests/gateway/refused_field.h"

namespace forge::gateway {
namespace {

constexpr char kQuestion[] = R"("model": "demo", "messages": [{"role": "user", "content": "hi"}])";

// A request with further fields: `"n": 1`.
Result<ChatRequest> Read(const std::string& fields) {
  const Result<Json> body =
      ParseBody("{" + std::string(kQuestion) + (fields.empty() ? "" : ", ") + fields + "}");
  if (!body.ok()) return body.status();
  return ReadChatRequest(*body);
}

// One with these messages.
Result<ChatRequest> ReadMessagesOf(const std::string& messages) {
  return ReadChatRequest(*ParseBody(R"({"model": "demo", "messages": )" + messages + "}"));
}

TEST(ChatRequestTest, LeavesToTheDaemonWhatIsUnset) {
  const Result<ChatRequest> request = Read("");
  ASSERT_TRUE(request.ok());
  v1::GenerateRequest::Turn expected;
  expected.set_model("demo");
  expected.mutable_sampling();
  v1::ChatMessage& message = *expected.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content("hi");
  EXPECT_EQ(request->turn.DebugString(), expected.DebugString());
  EXPECT_FALSE(request->delivery.stream);
}

TEST(ChatRequestTest, TranslatesSampling) {
  const Result<ChatRequest> request = Read(
      R"("temperature": 0.5, "top_p": 0.25, "top_k": 7, "min_p": 0.125, "typical_p": 0.75,
         "seed": -1, "presence_penalty": 0.5, "frequency_penalty": -0.5, "repeat_penalty": 1.25,
         "repeat_last_n": -1, "logit_bias": {"5": -100, "7": 1.5}, "stop": ["a", "b"],
         "stop_token_ids": [3], "max_tokens": 9, "ignore_eos": true)");
  ASSERT_TRUE(request.ok()) << request.status().message();
  const v1::SamplingOptions& sampling = request->turn.sampling();
  EXPECT_EQ(sampling.temperature(), 0.5f);
  EXPECT_EQ(sampling.top_p(), 0.25f);
  EXPECT_EQ(sampling.top_k(), 7);
  EXPECT_EQ(sampling.min_p(), 0.125f);
  EXPECT_EQ(sampling.typical_p(), 0.75f);
  EXPECT_EQ(sampling.seed(), UINT64_MAX);
  EXPECT_EQ(sampling.presence_penalty(), 0.5f);
  EXPECT_EQ(sampling.frequency_penalty(), -0.5f);
  EXPECT_EQ(sampling.repetition_penalty(), 1.25f);
  EXPECT_EQ(sampling.penalty_window(), -1);
  EXPECT_EQ(sampling.logit_bias().at(5), -100.0f);
  EXPECT_EQ(sampling.logit_bias().at(7), 1.5f);
  EXPECT_EQ(request->turn.stop_strings_size(), 2);
  EXPECT_EQ(request->turn.stop_tokens(0), 3);
  EXPECT_EQ(request->turn.max_tokens(), 9u);
  EXPECT_TRUE(request->turn.ignore_end_of_text());
}

TEST(ChatRequestTest, KnowsTheOtherNamesAndValuesOfOtherServers) {
  EXPECT_EQ(Read(R"("max_tokens": 9, "max_completion_tokens": 5)")->turn.max_tokens(), 5u);
  EXPECT_EQ(Read(R"("max_tokens": -1)")->turn.max_tokens(), 0u);
  EXPECT_EQ(Read(R"("repetition_penalty": 1.5)")->turn.sampling().repetition_penalty(), 1.5f);
  EXPECT_TRUE(Read(R"("top_k": -1)")->turn.sampling().has_top_k());
  EXPECT_EQ(Read(R"("top_k": -1)")->turn.sampling().top_k(), 0);
  EXPECT_EQ(Read(R"("stop": "x")")->turn.stop_strings(0), "x");
}

TEST(ChatRequestTest, ReadsHowTheAnswerIsSent) {
  const auto delivery =
      Read(R"("stream": true, "stream_options": {"include_usage": true})")->delivery;
  EXPECT_TRUE(delivery.stream);
  EXPECT_TRUE(delivery.include_usage);
  EXPECT_FALSE(Read(R"("stream": true)")->delivery.include_usage);
}

TEST(ChatRequestTest, TranslatesFormats) {
  EXPECT_EQ(Read(R"("response_format": {"type": "json_object"})")->turn.json_schema(),
            R"({"type": "object"})");
  EXPECT_EQ(Read(R"("response_format": {"type": "json_object", "schema": {"const": 1}})")
                ->turn.json_schema(),
            R"({"const":1})");
  // The order of names is that of the answer.
  EXPECT_EQ(Read(R"("response_format": {"type": "json_schema", "json_schema": {"name": "a",
                    "schema": {"properties": {"z": {}, "a": {}}}}})")
                ->turn.json_schema(),
            R"({"properties":{"z":{},"a":{}}})");
  EXPECT_FALSE(Read(R"("response_format": {"type": "text"})")->turn.has_json_schema());
  EXPECT_EQ(Read(R"("grammar": "root ::= \"a\"")")->turn.grammar(), "root ::= \"a\"");
}

TEST(ChatRequestTest, TranslatesToolsTheirCallsAndResults) {
  const Result<ChatRequest> request = ReadMessagesOf(
      R"([{"role": "user", "content": "weather?"},
          {"role": "assistant", "content": null, "reasoning_content": "I ask.", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"at\": 1}"}},
            {"id": "c2", "type": "function", "function": {"name": "time", "arguments": ""}}]},
          {"role": "tool", "tool_call_id": "c2", "content": "noon"}],
          "tools": [{"type": "function", "function": {"name": "weather", "description": "tells",
                     "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}, "strict": true}},
                    {"type": "function", "function": {"name": "time"}}])");
  ASSERT_TRUE(request.ok()) << request.status().message();
  const v1::ChatMessages& chat = request->turn.chat();
  EXPECT_EQ(chat.messages(1).reasoning(), "I ask.");
  EXPECT_EQ(chat.messages(1).tool_calls(0).arguments_json(), "{\"at\": 1}");
  EXPECT_EQ(chat.messages(1).tool_calls(1).arguments_json(), "{}");
  EXPECT_EQ(chat.messages(2).tool_call_id(), "c2");
  EXPECT_EQ(chat.messages(2).name(), "time");  // of the call that it answers
  EXPECT_EQ(chat.tools(0).parameters_json(), R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(chat.tools(1).parameters_json(), "");
}

TEST(ChatRequestTest, ReadsWhetherToolsMayBeCalled) {
  const std::string tools = R"("tools": [{"type": "function", "function": {"name": "f"}}])";
  EXPECT_EQ(Read(tools + R"(, "tool_choice": "auto")")->turn.chat().tools_size(), 1);
  EXPECT_EQ(Read(tools + R"(, "tool_choice": "none")")->turn.chat().tools_size(), 0);
  EXPECT_FALSE(Read(tools)->forced_call);
  EXPECT_FALSE(Read(tools)->one_tool_call);
  EXPECT_TRUE(Read(tools + R"(, "parallel_tool_calls": false)")->one_tool_call);
}

constexpr char kTwoTools[] =
    R"("tools": [{"type": "function", "function": {"name": "f", "parameters":
         {"properties": {"a": {"$ref": "#/$defs/A"}, "$ref": {"const": 1}}, "$defs": {"A": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "g"}}])";

TEST(ChatRequestTest, HoldsTheAnswerToTheArgumentsOfTheToolThatIsChosen) {
  const auto choose = [](const std::string& name) {
    return Read(kTwoTools +
                std::string(R"(, "tool_choice": {"type": "function", "function": {"name": ")") +
                name + "\"}}, \"response_format\": {\"type\": \"json_object\"}");
  };
  const Result<ChatRequest> first = choose("f");
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->forced_call->function, "f");
  EXPECT_EQ(first->forced_call->id, "call00001");
  EXPECT_EQ(first->turn.chat().tools_size(), 2);
  EXPECT_EQ(
      first->turn.json_schema(),
      R"({"properties":{"a":{"$ref":"#/$defs/A"},"$ref":{"const":1}},"$defs":{"A":{"type":"string"}},"type":"object"})");
  EXPECT_EQ(choose("g")->turn.json_schema(),
            R"({"type":"object","properties":{},"additionalProperties":false})");
  EXPECT_EQ(RefusedField(choose("h")), "tool_choice.function.name");
}

TEST(ChatRequestTest, HoldsTheAnswerToACallOfAnyToolWhereOneIsRequired) {
  const Result<ChatRequest> request =
      Read(kTwoTools + std::string(R"(, "tool_choice": "required")"));
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->forced_call->function, "");
  EXPECT_EQ(
      request->turn.json_schema(),
      R"({"anyOf":[{"type":"object","properties":{"name":{"const":"f"},"arguments":{"$ref":"#/$defs/0"}},"required":["name","arguments"]},)"
      R"({"type":"object","properties":{"name":{"const":"g"},"arguments":{"$ref":"#/$defs/1"}},"required":["name","arguments"]}],)"
      R"("$defs":{"0":{"properties":{"a":{"$ref":"#/$defs/0/$defs/A"},"$ref":{"const":1}},"$defs":{"A":{"type":"string"}},"type":"object"},)"
      R"("1":{"type":"object","properties":{},"additionalProperties":false}}})");
}

TEST(ChatRequestTest, RefusesToForceACallThatCannotBe) {
  const std::string tool = R"("tools": [{"type": "function", "function": {"name": "f"}}])";
  EXPECT_EQ(Read(tool + R"(, "tool_choice": "required")")->forced_call->function, "f");
  for (const std::string& fields :
       {std::string(R"("tool_choice": "required")"), tool + R"(, "tool_choice": "any")",
        tool + R"(, "tool_choice": 1)", tool + R"(, "tool_choice": {"type": "allowed_tools"})",
        tool + R"(, "tool_choice": "required", "grammar": "root ::= \"a\"")"})
    EXPECT_EQ(RefusedField(Read(fields)), "tool_choice") << fields;
}

TEST(ChatRequestTest, GoesOnWithTheIdsOfCalls) {
  const Result<ChatRequest> request = ReadMessagesOf(
      R"([{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}, {"id": "b", "function": {"name": "f"}}]},
          {"role": "tool", "tool_call_id": "a", "content": "1"}, {"role": "tool", "tool_call_id": "b", "content": "2"}],
          "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required")");
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->forced_call->id, "call00003");
}

TEST(ChatRequestTest, JoinsTextPartsAndRefusesOthersByName) {
  const auto content = [](const std::string& parts) {
    return ReadMessagesOf(R"([{"role": "user", "content": )" + parts + "}]");
  };
  EXPECT_EQ(content(R"([{"type": "text", "text": "a "}, {"type": "text", "text": "b",
                       "cache_control": {"type": "ephemeral"}}])")
                ->turn.chat()
                .messages(0)
                .content(),
            "a b");
  for (const char* part :
       {R"({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}})",
        R"({"type": "image_url", "image_url": {"url": "http://169.254.0.1/"}})",
        R"({"type": "input_audio", "input_audio": {}})", R"({"type": "file"})", R"({"text": "a"})"})
    EXPECT_EQ(RefusedField(content("[" + std::string(part) + "]")), "messages[0].content[0].type")
        << part;
  EXPECT_EQ(RefusedField(content("5")), "messages[0].content");
}

TEST(ChatRequestTest, TellsOfPicturesInResultsInWords) {
  const auto request = ReadMessagesOf(
      R"([{"role": "tool", "tool_call_id": "a", "content": [
          {"type": "text", "text": "cat.png "}, {"type": "image_url", "image_url": {}}]}])");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(request->turn.chat().messages(0).content(),
            "cat.png [an image, which this model cannot see]");
}

TEST(ChatRequestTest, KnowsRoles) {
  EXPECT_EQ(
      ReadMessagesOf(R"([{"role": "developer", "content": "x"}])")->turn.chat().messages(0).role(),
      "system");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"([{"role": "function", "content": "x"}])")),
            "messages[0].role");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"([{"content": "x"}])")), "messages[0].role");
  EXPECT_EQ(RefusedField(ReadMessagesOf(R"(["x"])")), "messages[0]");
  EXPECT_EQ(RefusedField(ReadMessagesOf("[]")), "messages");
}

TEST(ChatRequestTest, HandsOptionsToTheTemplate) {
  EXPECT_EQ(Read(R"("chat_template_kwargs": {"enable_thinking": false})")
                ->turn.chat()
                .template_options_json(),
            R"({"enable_thinking":false})");
  for (const char* effort : {R"("reasoning_effort": "low")", R"("reasoning": {"effort": "low"})"})
    EXPECT_EQ(Read(effort)->turn.chat().template_options_json(), R"({"reasoning_effort":"low"})");
}

TEST(ChatRequestTest, AsksForLogprobs) {
  EXPECT_TRUE(Read(R"("logprobs": true)")->logprobs);
  EXPECT_EQ(Read(R"("logprobs": true, "top_logprobs": 20)")->turn.top_logprobs(), 20u);
  EXPECT_EQ(RefusedField(Read(R"("logprobs": true, "top_logprobs": 21)")), "top_logprobs");
  EXPECT_EQ(RefusedField(Read(R"("top_logprobs": 1)")), "top_logprobs");
}

TEST(ChatRequestTest, RefusesByNameWhatWouldChangeTheAnswer) {
  const struct {
    const char* fields;
    const char* refused;
  } kCases[] = {
      {R"("n": 2)", "n"},
      {R"("audio": {"voice": "x"})", "audio"},
      {R"("modalities": ["text", "audio"])", "modalities"},
      {R"("functions": [{"name": "f"}])", "functions"},
      {R"("function_call": "auto")", "function_call"},
      {R"("web_search_options": {"a": 1})", "web_search_options"},
      {R"("mirostat": 2)", "mirostat"},
      {R"("json_schema": {"type": "object"})", "json_schema"},
      {R"("guided_regex": "a+")", "guided_regex"},
      {R"("min_tokens": 3)", "min_tokens"},
      {R"("response_format": {"type": "xml"})", "response_format.type"},
      {R"("response_format": {"type": "json_schema"})", "response_format.json_schema.schema"},
      {R"("response_format": {"type": "json_object"}, "grammar": "root ::= \"a\"")", "grammar"},
      {R"("tools": [{"type": "custom"}])", "tools[0].type"},
      {R"("tools": [{"type": "function"}])", "tools[0].function"},
      {R"("tools": [{"type": "function", "function": {}}])", "tools[0].function.name"},
      {R"("temperature": "hot")", "temperature"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("max_tokens": -2)", "max_tokens"},
      {R"("stop": [1])", "stop"},
      {R"("logit_bias": {"fox": 1})", "logit_bias"},
      {R"("logit_bias": {"5": "x"})", "logit_bias.5"},
      {R"("stream": "yes")", "stream"},
      {R"("top_k": -2)", "top_k"},
  };
  for (const auto& test_case : kCases)
    EXPECT_EQ(RefusedField(Read(test_case.fields)), test_case.refused) << test_case.fields;
  EXPECT_EQ(RefusedField(ReadChatRequest(*ParseBody("{}"))), "model");
}

TEST(ChatRequestTest, LeavesAloneWhatAsksForNothing) {
  EXPECT_EQ(RefusedField(Read(
                R"("n": 1, "functions": [], "function_call": null, "mirostat": 0, "echo": false,
                   "modalities": ["text"], "user": "u", "store": true, "metadata": {"a": 1},
                   "service_tier": "auto", "prediction": {"type": "content", "content": "x"},
                   "keep_alive": -1, "cache_prompt": true, "tools": [], "suffix": "")")),
            "");
}

}  // namespace
}  // namespace forge::gateway
