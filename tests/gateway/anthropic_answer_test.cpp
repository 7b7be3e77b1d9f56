#include "gateway/translate/anthropic_answer.h"

#include <gtest/gtest.h>

#include "tests/gateway/turn_events.h"

namespace forge::gateway {
namespace {

AnswerHead Head() { return {"msg_1", 1700000000, "demo"}; }

AnthropicAnswerOptions Forced(const std::string& function) {
  return {.forced_call = ForcedCall{"call00001", function}};
}

std::string Event(const std::string& type, const std::string& rest = "") {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + rest + "}\n\n";
}

std::string Start(const std::string& n_input) {
  return Event(
      "message_start",
      R"(,"message":{"id":"msg_1","type":"message","role":"assistant","model":"demo","content":[],"stop_reason":null,"stop_sequence":null,)"
      R"("usage":{"input_tokens":)" +
          n_input +
          R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}})");
}

std::string BlockStart(int index, const std::string& block) {
  return Event("content_block_start",
               ",\"index\":" + std::to_string(index) + ",\"content_block\":" + block);
}

std::string Delta(int index, const std::string& delta) {
  return Event("content_block_delta",
               ",\"index\":" + std::to_string(index) + ",\"delta\":" + delta);
}

std::string BlockStop(int index) {
  return Event("content_block_stop", ",\"index\":" + std::to_string(index));
}

constexpr char kUsage[] =
    R"({"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3})";

std::string End(const std::string& reason, const std::string& sequence = "null") {
  return Event("message_delta", R"(,"delta":{"stop_reason":")" + reason + R"(","stop_sequence":)" +
                                    sequence + R"(},"usage":)" + kUsage) +
         Event("message_stop");
}

TEST(StreamedAnthropicAnswerTest, WritesTheseBytes) {
  StreamedAnthropicAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Token("A ")), Start("0") + BlockStart(0, R"({"type":"text","text":""})") +
                                          Delta(0, R"({"type":"text_delta","text":"A "})"));
  EXPECT_EQ(answer.Take(Token("")), "");
  EXPECT_EQ(answer.Take(Token("fox\n\"é\"")),
            Delta(0, "{\"type\":\"text_delta\",\"text\":\"fox\\n\\\"é\\\"\"}"));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, ".")),
            Delta(0, R"({"type":"text_delta","text":"."})") + BlockStop(0) + End("end_turn"));
}

TEST(StreamedAnthropicAnswerTest, BeginsWithThePromptAndTellsItsSteps) {
  StreamedAnthropicAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Queued(2)), ": queue: 2 before this\n\n");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_ADMISSION)), "");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_LOADING_WEIGHTS, 20)),
            ": load: 20 of 1000 bytes\n\n");
  EXPECT_EQ(answer.Take(Progress(12)), Start("12") + Event("ping"));
  EXPECT_EQ(answer.Take(Progress(12)), Event("ping"));
  EXPECT_EQ(answer.Take(Token("A")), BlockStart(0, R"({"type":"text","text":""})") +
                                         Delta(0, R"({"type":"text_delta","text":"A"})"));
}

TEST(StreamedAnthropicAnswerTest, GivesThoughtsTextAndCallsABlockEach) {
  StreamedAnthropicAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Token("hm", v1::TEXT_KIND_REASONING)),
            Start("0") + BlockStart(0, R"({"type":"thinking","thinking":"","signature":""})") +
                Delta(0, R"({"type":"thinking_delta","thinking":"hm"})"));
  EXPECT_EQ(answer.Take(Token("So")),
            Delta(0, R"({"type":"signature_delta","signature":"Zm9yZ2U="})") + BlockStop(0) +
                BlockStart(1, R"({"type":"text","text":""})") +
                Delta(1, R"({"type":"text_delta","text":"So"})"));
  EXPECT_EQ(answer.Take(Token("<tool_call>", v1::TEXT_KIND_TOOL_CALL)), "");
  const std::string input = R"({"type":"input_json_delta","partial_json":"{\"at\": \"here\"}"})";
  EXPECT_EQ(
      answer.Take(FinishedWithCalls()),
      BlockStop(1) +
          BlockStart(2, R"({"type":"tool_use","id":"call_weather","name":"weather","input":{}})") +
          Delta(2, input) + BlockStop(2) +
          BlockStart(3, R"({"type":"tool_use","id":"call_time","name":"time","input":{}})") +
          Delta(3, input) + BlockStop(3) + End("tool_use"));
}

TEST(StreamedAnthropicAnswerTest, LeavesOutThoughtsThatAreNotToBeShown) {
  StreamedAnthropicAnswer answer(Head(), {.shows_thoughts = false});
  EXPECT_EQ(answer.Take(Token("hm", v1::TEXT_KIND_REASONING)), Start("0"));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT)), End("end_turn"));
}

TEST(StreamedAnthropicAnswerTest, HasNoBlocksWhereNothingIsSaid) {
  StreamedAnthropicAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT)), Start("10") + End("end_turn"));
}

TEST(StreamedAnthropicAnswerTest, GivesOneOfSeveralCallsWhereOneIsWanted) {
  StreamedAnthropicAnswer answer(Head(), {.one_tool_call = true});
  const std::string events = answer.Take(FinishedWithCalls());
  EXPECT_NE(events.find("\"weather\""), std::string::npos);
  EXPECT_EQ(events.find("\"time\""), std::string::npos);
}

TEST(StreamedAnthropicAnswerTest, GivesAForcedCallWhole) {
  StreamedAnthropicAnswer answer(Head(), Forced("f"));
  EXPECT_EQ(answer.Take(Token("{")), Start("0"));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, "}")),
            BlockStart(0, R"({"type":"tool_use","id":"call00001","name":"f","input":{}})") +
                Delta(0, R"({"type":"input_json_delta","partial_json":"{}"})") + BlockStop(0) +
                End("tool_use"));
}

TEST(StreamedAnthropicAnswerTest, EndsWithAnErrorWhereItBreaksOff) {
  StreamedAnthropicAnswer answer(Head(), {});
  ApiError error;
  error.http_status = 503;
  error.message = "gone";
  EXPECT_EQ(answer.Fail(error),
            Event("error", R"(,"error":{"type":"overloaded_error","message":"gone"})"));
}

TEST(WholeAnthropicAnswerTest, IsOneObject) {
  WholeAnthropicAnswer answer(Head(), {});
  for (const auto& event : {Progress(10), Token("hm", v1::TEXT_KIND_REASONING), Token("A "),
                            Token("fox"), Finished(v1::FINISH_REASON_MAX_TOKENS, ".")})
    answer.Take(event);
  EXPECT_EQ(
      Dump(answer.ToJson()),
      R"({"id":"msg_1","type":"message","role":"assistant","model":"demo","content":[{"type":"thinking","thinking":"hm","signature":"Zm9yZ2U="},)"
      R"({"type":"text","text":"A fox."}],"stop_reason":"max_tokens","stop_sequence":null,"usage":)" +
          std::string(kUsage) + "}");
}

TEST(WholeAnthropicAnswerTest, HasTheCallsOfToolsAsObjects) {
  WholeAnthropicAnswer answer(Head(), {});
  answer.Take(Token("<tool_call>", v1::TEXT_KIND_TOOL_CALL));
  answer.Take(FinishedWithCalls());
  const Json json = answer.ToJson();
  EXPECT_EQ(Dump(json["content"]),
            R"([{"type":"tool_use","id":"call_weather","name":"weather","input":{"at":"here"}},)"
            R"({"type":"tool_use","id":"call_time","name":"time","input":{"at":"here"}}])");
  EXPECT_EQ(json["stop_reason"], "tool_use");
}

TEST(WholeAnthropicAnswerTest, LeavesTheInputEmptyOfACallThatIsCutOff) {
  for (const std::string& arguments : {std::string(R"({"at)"), std::string("[1]"),
                                       std::string(200, '[') + std::string(200, ']')}) {
    WholeAnthropicAnswer answer(Head(), Forced("weather"));
    answer.Take(Token(arguments));
    answer.Take(Finished(v1::FINISH_REASON_MAX_TOKENS));
    const Json json = answer.ToJson();
    EXPECT_EQ(json["stop_reason"], "max_tokens");
    EXPECT_EQ(Dump(json["content"][0]["input"]), "{}") << arguments;
  }
}

TEST(WholeAnthropicAnswerTest, SaysWhyItEnded) {
  const auto reason = [](const v1::GenerateResponse& event) {
    WholeAnthropicAnswer answer(Head(), {});
    answer.Take(event);
    const Json json = answer.ToJson();
    return json["stop_reason"].get<std::string>() + " " + Dump(json["stop_sequence"]);
  };
  EXPECT_EQ(reason(Finished(v1::FINISH_REASON_END_OF_TEXT)), "end_turn null");
  EXPECT_EQ(reason(Finished(v1::FINISH_REASON_CONTEXT_FULL)), "model_context_window_exceeded null");
  v1::GenerateResponse stopped = Finished(v1::FINISH_REASON_STOP);
  EXPECT_EQ(reason(stopped), "end_turn null");  // before a token
  stopped.mutable_finished()->set_stop_string("</a>");
  EXPECT_EQ(reason(stopped), "stop_sequence \"</a>\"");
}

}  // namespace
}  // namespace forge::gateway
