#include "gateway/translate/responses_request.h"

#include <gtest/gtest.h>

#include "tests/gateway/refused_field.h"

namespace forge::gateway {
namespace {

// A request with further fields: `"top_p": 1`.
Result<ResponsesRequest> Read(const std::string& fields) {
  const Result<Json> body = ParseBody(R"({"model": "demo", "input": "hi")" +
                                      std::string(fields.empty() ? "" : ", ") + fields + "}");
  if (!body.ok()) return body.status();
  return ReadResponsesRequest(*body);
}

// One with this input, and further fields.
Result<ResponsesRequest> ReadInput(const std::string& input,
                                   const std::string& fields = R"("stream": false)") {
  return ReadResponsesRequest(
      *ParseBody(R"({"model": "demo", "input": )" + input + ", " + fields + "}"));
}

// The conversation in short: "role: content".
std::string Told(const Result<ResponsesRequest>& request) {
  if (!request.ok()) return "refused: " + std::string(request.status().message());
  std::string told;
  for (const v1::ChatMessage& message : request->turn.chat().messages())
    told += (told.empty() ? "" : " | ") + message.role() + ": " + message.content();
  return told;
}

TEST(ResponsesRequestTest, LeavesToTheDaemonWhatIsUnset) {
  const Result<ResponsesRequest> request = Read("");
  ASSERT_TRUE(request.ok()) << request.status().message();
  v1::GenerateRequest::Turn expected;
  expected.set_model("demo");
  expected.mutable_sampling();
  v1::ChatMessage& message = *expected.mutable_chat()->add_messages();
  message.set_role("user");
  message.set_content("hi");
  EXPECT_EQ(request->turn.DebugString(), expected.DebugString());
  EXPECT_FALSE(request->stream);
  EXPECT_FALSE(request->one_tool_call);
  EXPECT_FALSE(request->seals_thoughts);
}

TEST(ResponsesRequestTest, TranslatesSamplingAndLimits) {
  const Result<ResponsesRequest> request =
      Read(R"("temperature": 0.5, "top_p": 0.25, "max_output_tokens": 7, "stream": true,
              "include": ["reasoning.encrypted_content"], "parallel_tool_calls": false)");
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(request->turn.sampling().temperature(), 0.5f);
  EXPECT_EQ(request->turn.sampling().top_p(), 0.25f);
  EXPECT_EQ(request->turn.max_tokens(), 7u);
  EXPECT_TRUE(request->stream);
  EXPECT_TRUE(request->seals_thoughts);
  EXPECT_TRUE(request->one_tool_call);
}

TEST(ResponsesRequestTest, ReadsMessages) {
  EXPECT_EQ(
      Told(ReadInput(
          R"([{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "B."}]},
              {"role": "user", "content": [{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "two"}]},
              {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": "yes", "annotations": []}, {"type": "refusal", "refusal": "!"}]},
              {"role": "user", "content": "so"}, {"role": "system", "content": "C."}])",
          R"("instructions": "A.")")),
      "system: A.\nB. | user: one\ntwo | assistant: yes! | user: so\n<system-reminder>\nC.\n"
      "</system-reminder>");
}

constexpr char kTools[] =
    R"("tools": [{"type": "function", "name": "now", "description": "tells", "strict": false, "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}},
                 {"type": "namespace", "name": "mcp__sky__", "description": "d", "tools": [
                   {"type": "function", "name": "weather", "parameters": {"type": "object"}}, {"type": "custom", "name": "c"}]},
                 {"type": "namespace", "name": "notes", "tools": [{"type": "function", "name": "find"}]},
                 {"type": "web_search", "external_web_access": false}, {"type": "image_generation"}, {"type": "custom", "name": "apply_patch"}])";

TEST(ResponsesRequestTest, TranslatesFunctionsTheirCallsAndResults) {
  const Result<ResponsesRequest> request = ReadInput(
      R"([{"role": "user", "content": "weather?"},
          {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "I ask."}]},
          {"type": "function_call", "call_id": "c1", "name": "weather", "namespace": "mcp__sky__", "arguments": "{\"at\": 1}"},
          {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One moment."}]},
          {"type": "function_call", "call_id": "c2", "name": "now", "arguments": ""},
          {"type": "function_call_output", "call_id": "c1", "output": "rain"},
          {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "noon"}]}])",
      kTools);
  ASSERT_TRUE(request.ok()) << request.status().message();
  EXPECT_EQ(Told(request), "user: weather? | assistant: One moment. | tool: rain | tool: noon");
  const v1::ChatMessages& chat = request->turn.chat();
  EXPECT_EQ(chat.messages(1).reasoning(), "I ask.");
  EXPECT_EQ(chat.messages(1).tool_calls(0).name(), "mcp__sky__weather");
  EXPECT_EQ(chat.messages(1).tool_calls(0).arguments_json(), "{\"at\": 1}");
  EXPECT_EQ(chat.messages(1).tool_calls(1).arguments_json(), "{}");
  EXPECT_EQ(chat.messages(2).name(), "mcp__sky__weather");
  EXPECT_EQ(chat.messages(3).tool_call_id(), "c2");
  ASSERT_EQ(chat.tools_size(), 3);
  EXPECT_EQ(chat.tools(0).parameters_json(), R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(chat.tools(1).name(), "mcp__sky__weather");
  EXPECT_EQ(chat.tools(2).name(), "notes__find");
  EXPECT_EQ(request->names.Find("notes__find")->function, "find");
  EXPECT_EQ(request->names.Find("now"), nullptr);
}

TEST(ResponsesRequestTest, ReadsThoughtsHoweverTheyWereKept) {
  const auto thought = [](const std::string& item) {
    const auto request = ReadInput(R"([{"type": "reasoning", "id": "rs_1", )" + item + "}, " +
                                   R"({"role": "user", "content": "x"}])");
    return request->turn.chat().messages(0).reasoning();
  };
  EXPECT_EQ(thought(R"("summary": [], "encrypted_content": "forge-thought:a\nb")"), "a\nb");
  EXPECT_EQ(
      thought(
          R"("summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAA")"),
      "s");
  EXPECT_EQ(thought(R"("summary": [{"type": "summary_text", "text": "s"}],
                       "content": [{"type": "reasoning_text", "text": "c"}])"),
            "c");
  EXPECT_EQ(Told(ReadInput(R"([{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
                               {"role": "user", "content": "x"}])")),
            "user: x");
}

TEST(ResponsesRequestTest, ReadsWhichFunctionMustBeCalled) {
  const auto choose = [](const std::string& choice) {
    return Read(kTools + std::string(", \"tool_choice\": ") + choice);
  };
  EXPECT_EQ(choose("\"auto\"")->turn.chat().tools_size(), 3);
  EXPECT_EQ(choose("\"none\"")->turn.chat().tools_size(), 0);
  EXPECT_EQ(choose("\"required\"")->forced_call->function, "");
  const auto named = choose(R"({"type": "function", "name": "now"})");
  EXPECT_EQ(named->forced_call->function, "now");
  EXPECT_EQ(named->turn.json_schema(), R"({"type":"object","properties":{"z":{},"a":{}}})");
  EXPECT_EQ(choose(R"({"type": "function", "name": "find", "namespace": "notes"})")
                ->forced_call->function,
            "notes__find");
  EXPECT_EQ(RefusedField(choose(R"({"type": "function", "name": "h"})")), "tool_choice.name");
  EXPECT_EQ(RefusedField(choose(R"({"type": "function"})")), "tool_choice.name");
  for (const char* choice :
       {"\"any\"", "5", R"({"type": "web_search"})", R"({"type": "allowed_tools"})"})
    EXPECT_EQ(RefusedField(choose(choice)), "tool_choice") << choice;
}

TEST(ResponsesRequestTest, HoldsTheAnswerToAFormat) {
  EXPECT_EQ(
      Read(
          R"("text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "strict": true,
                     "schema": {"properties": {"z": {}, "a": {}}}}})")
          ->turn.json_schema(),
      R"({"properties":{"z":{},"a":{}}})");
  EXPECT_EQ(Read(R"("text": {"format": {"type": "json_object"}})")->turn.json_schema(),
            R"({"type": "object"})");
  EXPECT_FALSE(Read(R"("text": {"format": {"type": "text"}})")->turn.has_json_schema());
  EXPECT_EQ(RefusedField(Read(R"("text": {"format": {"type": "json_schema"}})")),
            "text.format.schema");
  EXPECT_EQ(RefusedField(Read(R"("text": {"format": {"type": "grammar"}})")), "text.format.type");
}

TEST(ResponsesRequestTest, HandsTheEffortToTheTemplate) {
  const auto options = [](const std::string& fields) {
    return Read(fields)->turn.chat().template_options_json();
  };
  EXPECT_EQ(options(R"("reasoning": {"effort": "low", "summary": "auto"})"),
            R"({"reasoning_effort":"low"})");
  EXPECT_EQ(options(R"("reasoning": {"effort": "none"})"), R"({"enable_thinking":false})");
  EXPECT_EQ(options(R"("reasoning": {"effort": null})"), "");
}

TEST(ResponsesRequestTest, RefusesByNameWhatWouldChangeTheAnswer) {
  const struct {
    const char* fields;
    const char* refused;
  } kCases[] = {
      {R"("previous_response_id": "resp_1")", "previous_response_id"},
      {R"("conversation": "conv_1")", "conversation"},
      {R"("prompt": {"id": "pmpt_1"})", "prompt"},
      {R"("background": true)", "background"},
      {R"("top_logprobs": 3)", "top_logprobs"},
      {R"("truncation": "auto")", "truncation"},
      {R"("tools": [{"type": "file_search"}])", "tools[0].type"},
      {R"("tools": [{"type": "mcp", "server_url": "http://169.254.0.1/"}])", "tools[0].type"},
      {R"("tools": [{"type": "function"}])", "tools[0].name"},
      {R"("tools": [{"type": "namespace", "tools": []}])", "tools[0].name"},
      {R"("tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}]}])",
       "tools[0].tools[0].type"},
      {R"("tools": [{"type": "namespace", "name": "n", "tools": [{"name": "f"}, {"name": "f"}]}])",
       "tools[0].tools[1].name"},
      {R"("tools": [5])", "tools[0]"},
      {R"("temperature": "hot")", "temperature"},
      {R"("max_output_tokens": 0)", "max_output_tokens"},
      {R"("stream": "yes")", "stream"},
      {R"("instructions": 5)", "instructions"},
      {R"("model": "")", "model"},
  };
  for (const auto& test_case : kCases)
    EXPECT_EQ(RefusedField(Read(test_case.fields)), test_case.refused) << test_case.fields;
}

TEST(ResponsesRequestTest, TellsOfPicturesInResultsInWords) {
  const auto request = ReadInput(
      R"([{"type": "function_call_output", "call_id": "c", "output": [
          {"type": "input_text", "text": "cat.png"},
          {"type": "input_image", "image_url": "file:///etc/passwd"}]}])");
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(request->turn.chat().messages(0).content(),
            "cat.png\n[an image, which this model cannot see]");
}

TEST(ResponsesRequestTest, RefusesItemsByName) {
  const auto refused = [](const std::string& item) {
    return RefusedField(ReadInput("[" + item + "]"));
  };
  EXPECT_EQ(refused(R"({"type": "item_reference", "id": "msg_1"})"), "input[0].type");
  EXPECT_EQ(refused(R"({"type": "custom_tool_call", "call_id": "c"})"), "input[0].type");
  for (const char* part : {R"({"type": "input_image", "image_url": "file:///etc/passwd"})",
                           R"({"type": "input_file", "file_url": "http://169.254.0.1/"})", "{}"})
    EXPECT_EQ(refused(R"({"role": "user", "content": [)" + std::string(part) + "]}"),
              "input[0].content[0].type")
        << part;
  EXPECT_EQ(
      refused(R"({"type": "function_call_output", "call_id": "c", "output": [{"type": "video"}]})"),
      "input[0].output[0].type");
  EXPECT_EQ(refused(R"({"type": "function_call_output", "output": "x"})"), "input[0].call_id");
  EXPECT_EQ(refused(R"({"type": "function_call", "call_id": "c"})"), "input[0].name");
  EXPECT_EQ(refused(R"({"type": "function_call", "name": "f"})"), "input[0].call_id");
  EXPECT_EQ(refused(R"({"role": "tool", "content": "x"})"), "input[0].role");
  EXPECT_EQ(refused(R"({"content": "x"})"), "input[0].role");
  EXPECT_EQ(refused(R"({"role": "user", "content": 5})"), "input[0].content");
  EXPECT_EQ(refused(R"({"role": "user", "content": [{"type": "input_text"}]})"),
            "input[0].content[0].text");
  EXPECT_EQ(refused("5"), "input[0]");
  EXPECT_EQ(RefusedField(ReadInput("[]")), "input");
  EXPECT_EQ(RefusedField(ReadInput("5")), "input");
  EXPECT_EQ(RefusedField(ReadInput("null")), "input");
}

TEST(ResponsesRequestTest, LeavesAloneWhatAsksForNothingHere) {
  EXPECT_EQ(
      RefusedField(Read(
          R"("store": true, "metadata": {"a": "b"}, "user": "u", "service_tier": "auto", "prompt_cache_key": "k",
                   "client_metadata": {"x": "y"}, "include": ["message.output_text.logprobs"], "background": false,
                   "previous_response_id": null, "top_logprobs": 0, "truncation": "disabled", "max_tool_calls": 5,
                   "stream_options": {"include_obfuscation": false}, "safety_identifier": "s")")),
      "");
}

TEST(ResponsesRequestTest, KeepsWhatAnAnswerRepeats) {
  const Json settings =
      Read(R"("store": true, "instructions": "A.", "temperature": 0.5, "metadata": {"a": "b"})")
          ->settings;
  EXPECT_EQ(
      Dump(settings),
      R"({"instructions":"A.","max_output_tokens":null,"metadata":{"a":"b"},"parallel_tool_calls":true,"reasoning":null,"temperature":0.5,)"
      R"("text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,"user":null,"background":false,)"
      R"("previous_response_id":null,"store":false,"truncation":"disabled"})");
}

}  // namespace
}  // namespace forge::gateway
