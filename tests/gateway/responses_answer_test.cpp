#include "gateway/translate/responses_answer.h"

#include <gtest/gtest.h>

#include "tests/gateway/turn_events.h"

namespace forge::gateway {
namespace {

AnswerHead Head() { return {"resp_1", 1700000000, "demo"}; }

// Writes the events that a test expects, numbered as they come.
class Expected {
 public:
  std::string Event(const std::string& type, const std::string& rest) {
    return "event: " + type + "\ndata: {\"type\":\"" + type +
           "\",\"sequence_number\":" + std::to_string(n_++) + "," + rest + "}\n\n";
  }
  std::string OfItem(const std::string& type, const std::string& id, int index,
                     const std::string& rest) {
    return Event(type, "\"item_id\":\"" + id + "\",\"output_index\":" + std::to_string(index) +
                           ",\"content_index\":0," + rest);
  }
  std::string Begin() {
    std::string events =
        Event("response.created", "\"response\":" + Response("in_progress", "[]", "null"));
    return events += InProgress();
  }
  std::string InProgress() {
    return Event("response.in_progress", "\"response\":" + Response("in_progress", "[]", "null"));
  }
  static std::string Response(
      const std::string& status, const std::string& output, const std::string& usage,
      const std::string& rest = R"("error":null,"incomplete_details":null)") {
    return R"({"id":"resp_1","object":"response","created_at":1700000000,"status":")" + status +
           R"(","model":"demo","output":)" + output + ",\"usage\":" + usage + "," + rest +
           R"(,"tools":[]})";
  }

 private:
  int n_ = 0;
};

ResponsesAnswerOptions Options() { return {.settings = {{"tools", Json::array()}}}; }

constexpr char kUsage[] =
    R"({"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13})";

std::string Part(const std::string& text) {
  return R"({"type":"output_text","text":")" + text + R"(","annotations":[],"logprobs":[]})";
}

std::string Message(const std::string& status, const std::string& parts) {
  return R"({"id":"msg_1_0","type":"message","status":")" + status + R"(","content":[)" + parts +
         R"(],"role":"assistant"})";
}

TEST(StreamedResponseTest, SaysThatATurnWaitsAndThatItsModelIsLoaded) {
  StreamedResponse answer(Head(), Options());
  Expected expected;
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_ADMISSION)), "");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_LOADING_WEIGHTS, 20)), expected.Begin());
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_LOADING_WEIGHTS, 99)), "");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_LOADING_WEIGHTS, 300)), expected.InProgress());
  EXPECT_EQ(answer.Take(Queued(1)), expected.InProgress());
  EXPECT_EQ(answer.Take(Queued(0)), expected.InProgress());
  EXPECT_EQ(answer.Take(Progress(100, 1)), expected.InProgress());
  EXPECT_EQ(answer.Take(Progress(100, 9)), "");
}

TEST(StreamedResponseTest, WritesTheseBytes) {
  StreamedResponse answer(Head(), Options());
  Expected expected;
  EXPECT_EQ(answer.Take(Progress(10)), expected.Begin());
  EXPECT_EQ(answer.Take(Progress(10)), "");
  EXPECT_EQ(answer.Take(Progress(100, 39)), "");  // of the same tenth
  EXPECT_EQ(answer.Take(Progress(100, 40)), expected.InProgress());
  std::string events = expected.Event("response.output_item.added",
                                      R"("output_index":0,"item":)" + Message("in_progress", ""));
  events += expected.OfItem("response.content_part.added", "msg_1_0", 0, "\"part\":" + Part(""));
  events +=
      expected.OfItem("response.output_text.delta", "msg_1_0", 0, R"("delta":"A ","logprobs":[])");
  EXPECT_EQ(answer.Take(Token("A ")), events);
  EXPECT_EQ(answer.Take(Token("")), "");
  events =
      expected.OfItem("response.output_text.delta", "msg_1_0", 0, R"("delta":"fox","logprobs":[])");
  EXPECT_EQ(answer.Take(Token("fox")), events);
  events =
      expected.OfItem("response.output_text.done", "msg_1_0", 0, R"("text":"A fox","logprobs":[])");
  events +=
      expected.OfItem("response.content_part.done", "msg_1_0", 0, "\"part\":" + Part("A fox"));
  const std::string message = Message("completed", Part("A fox"));
  events += expected.Event("response.output_item.done", R"("output_index":0,"item":)" + message);
  events += expected.Event(
      "response.completed",
      "\"response\":" + Expected::Response("completed", "[" + message + "]", kUsage));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT)), events);
}

TEST(StreamedResponseTest, GivesThoughtsAnItemOfTheirOwn) {
  StreamedResponse answer(Head(), Options());
  Expected expected;
  std::string events = expected.Begin();
  events += expected.Event(
      "response.output_item.added",
      R"("output_index":0,"item":{"id":"rs_1_0","type":"reasoning","status":"in_progress","content":[],"summary":[]})");
  events += expected.OfItem("response.content_part.added", "rs_1_0", 0,
                            R"("part":{"type":"reasoning_text","text":""})");
  events += expected.OfItem("response.reasoning_text.delta", "rs_1_0", 0, R"("delta":"hm")");
  EXPECT_EQ(answer.Take(Token("hm", v1::TEXT_KIND_REASONING)), events);
  events = expected.OfItem("response.reasoning_text.done", "rs_1_0", 0, R"("text":"hm")");
  events += expected.OfItem("response.content_part.done", "rs_1_0", 0,
                            R"("part":{"type":"reasoning_text","text":"hm"})");
  events += expected.Event(
      "response.output_item.done",
      R"("output_index":0,"item":{"id":"rs_1_0","type":"reasoning","status":"completed","content":[{"type":"reasoning_text","text":"hm"}],"summary":[]})");
  const std::string taken = answer.Take(Token("So"));
  EXPECT_EQ(taken.substr(0, events.size()), events);
  EXPECT_NE(taken.find(R"("output_index":1,"item":{"id":"msg_1_1")"), std::string::npos);
}

TEST(StreamedResponseTest, GivesCallsWhole) {
  NamespacedNames names;
  names.Add("mcp__sky__", "weather");
  ResponsesAnswerOptions options = Options();
  options.names = names;
  options.one_tool_call = true;
  StreamedResponse answer(Head(), options);
  answer.Take(Progress(10));
  v1::GenerateResponse finished = FinishedWithCalls();
  finished.mutable_finished()->mutable_tool_calls(0)->set_name("mcp__sky__weather");
  const std::string events = answer.Take(finished);
  const auto item = [](const char* status, const char* arguments) {
    return std::string(R"({"id":"fc_1_0","type":"function_call","status":")") + status +
           R"(","call_id":"call_weather","name":"weather","arguments":")" + arguments +
           R"(","namespace":"mcp__sky__"})";
  };
  Expected expected;
  expected.Begin();
  const std::string place = R"("item_id":"fc_1_0","output_index":0,)";
  const std::string arguments = R"({\"at\": \"here\"})";
  const std::string done = item("completed", arguments.c_str());
  std::string wanted = expected.Event("response.output_item.added",
                                      R"("output_index":0,"item":)" + item("in_progress", ""));
  wanted += expected.Event("response.function_call_arguments.delta",
                           place + R"("delta":")" + arguments + "\"");
  wanted += expected.Event("response.function_call_arguments.done",
                           place + R"("name":"weather","arguments":")" + arguments + "\"");
  wanted += expected.Event("response.output_item.done", R"("output_index":0,"item":)" + done);
  wanted +=
      expected.Event("response.completed",
                     "\"response\":" + Expected::Response("completed", "[" + done + "]", kUsage));
  EXPECT_EQ(events, wanted);
}

TEST(StreamedResponseTest, SaysThatItIsNotWholeOrFailed) {
  StreamedResponse cut(Head(), Options());
  cut.Take(Token("A"));
  std::string events = cut.Take(Finished(v1::FINISH_REASON_MAX_TOKENS));
  EXPECT_NE(events.find("event: response.incomplete\n"), std::string::npos);
  EXPECT_NE(events.find(R"("incomplete_details":{"reason":"max_output_tokens"})"),
            std::string::npos);
  EXPECT_NE(events.find(Message("incomplete", Part("A"))), std::string::npos);
  StreamedResponse failed(Head(), Options());
  Expected expected;
  EXPECT_EQ(failed.Take(Progress(1)), expected.Begin());
  ApiError error;
  error.code = "device_lost";
  error.message = "gone";
  EXPECT_EQ(
      failed.Fail(error),
      expected.Event(
          "response.failed",
          "\"response\":" + Expected::Response("failed", "[]", "null",
                                               R"("error":{"code":"device_lost","message":"gone"},)"
                                               R"("incomplete_details":null)")));
}

TEST(StreamedResponseTest, GivesAForcedCallWhole) {
  ResponsesAnswerOptions options = Options();
  options.forced_call = ForcedCall{"call00001", "f"};
  StreamedResponse answer(Head(), options);
  Expected expected;
  EXPECT_EQ(answer.Take(Token("{")), expected.Begin());
  const std::string events = answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, "}"));
  EXPECT_NE(events.find(R"("call_id":"call00001","name":"f","arguments":"{}")"), std::string::npos);
  EXPECT_EQ(events.find("output_text"), std::string::npos);
}

TEST(WholeResponseTest, IsOneObject) {
  ResponsesAnswerOptions options = Options();
  options.seals_thoughts = true;
  WholeResponse answer(Head(), options);
  for (const auto& event : {Progress(10), Token("hm", v1::TEXT_KIND_REASONING), Token("A "),
                            Token("fox"), FinishedWithCalls()})
    answer.Take(event);
  const Json json = answer.ToJson();
  EXPECT_EQ(json["status"], "completed");
  EXPECT_EQ(json["usage"]["output_tokens_details"]["reasoning_tokens"], 1);
  EXPECT_EQ(
      Dump(json["output"]),
      R"([{"id":"rs_1_0","type":"reasoning","status":"completed","content":[{"type":"reasoning_text","text":"hm"}],"summary":[],"encrypted_content":"forge-thought:hm"},)"
      R"({"id":"msg_1_1","type":"message","status":"completed","content":[{"type":"output_text","text":"A fox","annotations":[],"logprobs":[]}],"role":"assistant"},)"
      R"({"id":"fc_1_2","type":"function_call","status":"completed","call_id":"call_weather","name":"weather","arguments":"{\"at\": \"here\"}"},)"
      R"({"id":"fc_1_3","type":"function_call","status":"completed","call_id":"call_time","name":"time","arguments":"{\"at\": \"here\"}"}])");
}

}  // namespace
}  // namespace forge::gateway
