// What the events of a turn become.
#include <gtest/gtest.h>

#include <cmath>

#include "gateway/translate/chat_answer.h"
#include "gateway/translate/completion_answer.h"
#include "gateway/translate/embedding_answer.h"
#include "tests/gateway/turn_events.h"

namespace forge::gateway {
namespace {

AnswerHead Head() { return {"id-1", 1700000000, "demo"}; }

constexpr char kUsage[] =
    R"({"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":4},)"
    R"("completion_tokens_details":{"reasoning_tokens":0,"accepted_prediction_tokens":2,"rejected_prediction_tokens":3}})";

std::string ChatChunk(const std::string& delta, const std::string& finish_reason = "null",
                      const std::string& rest = "") {
  return R"(data: {"id":"id-1","object":"chat.completion.chunk","created":1700000000,"model":"demo","choices":[{"index":0,"delta":)" +
         delta + R"(,"logprobs":null,"finish_reason":)" + finish_reason + "}]" + rest + "}\n\n";
}

TEST(StreamedChatAnswerTest, WritesTheseBytes) {
  StreamedChatAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Progress(10)),
            ChatChunk(R"({"role":"assistant","content":""})") + ": prompt: 3 of 10 tokens\n\n");
  EXPECT_EQ(answer.Take(Progress(10, 10)), ": prompt: 10 of 10 tokens\n\n");
  EXPECT_EQ(answer.Take(Token("A ")), ChatChunk(R"({"content":"A "})"));
  EXPECT_EQ(answer.Take(Token("")), "");
  EXPECT_EQ(answer.Take(Token("fox\n\"é\"")), ChatChunk("{\"content\":\"fox\\n\\\"é\\\"\"}"));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, ".")),
            ChatChunk(R"({"content":"."})") + ChatChunk("{}", "\"stop\"") + "data: [DONE]\n\n");
}

TEST(StreamedChatAnswerTest, SaysThatATurnWaitsAndThatItsModelIsLoaded) {
  StreamedChatAnswer answer(Head(), {});
  // The load may still be refused, with an HTTP status.
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_READING_HEADER)), "");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_ADMISSION)), "");
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_LOADING_WEIGHTS, 20)),
            ChatChunk(R"({"role":"assistant","content":""})") + ": load: 20 of 1000 bytes\n\n");
  EXPECT_EQ(answer.Take(Queued(2)), ": queue: 2 before this\n\n");
  EXPECT_EQ(answer.Take(Progress(10)), ": prompt: 3 of 10 tokens\n\n");
}

TEST(StreamedChatAnswerTest, GivesUsageInALastChunkWhereItIsWanted) {
  StreamedChatAnswer answer(Head(), {.include_usage = true});
  EXPECT_EQ(answer.Take(Token("A")),
            ChatChunk(R"({"role":"assistant","content":""})", "null", R"(,"usage":null)") +
                ChatChunk(R"({"content":"A"})", "null", R"(,"usage":null)"));
  EXPECT_EQ(
      answer.Take(Finished(v1::FINISH_REASON_MAX_TOKENS)),
      ChatChunk("{}", "\"length\"", R"(,"usage":null)") +
          R"(data: {"id":"id-1","object":"chat.completion.chunk","created":1700000000,"model":"demo","choices":[],"usage":)" +
          kUsage + "}\n\ndata: [DONE]\n\n");
}

TEST(StreamedChatAnswerTest, TellsThoughtsAndCallsFromContent) {
  StreamedChatAnswer answer(Head(), {});
  answer.Take(Token("hm", v1::TEXT_KIND_REASONING));
  EXPECT_EQ(answer.Take(Token("so", v1::TEXT_KIND_REASONING)),
            ChatChunk(R"({"reasoning_content":"so"})"));
  EXPECT_EQ(answer.Take(Token("<tool_call>", v1::TEXT_KIND_TOOL_CALL)), "");
  EXPECT_EQ(
      answer.Take(FinishedWithCalls()),
      ChatChunk(
          R"({"tool_calls":[{"index":0,"id":"call_weather","type":"function","function":{"name":"weather","arguments":"{\"at\": \"here\"}"}},)"
          R"({"index":1,"id":"call_time","type":"function","function":{"name":"time","arguments":"{\"at\": \"here\"}"}}]})") +
          ChatChunk("{}", "\"tool_calls\"") + "data: [DONE]\n\n");
}

TEST(StreamedChatAnswerTest, BeginsAlsoWhereNothingIsSaid) {
  StreamedChatAnswer answer(Head(), {});
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_STOP)),
            ChatChunk(R"({"role":"assistant","content":""})") + ChatChunk("{}", "\"stop\"") +
                "data: [DONE]\n\n");
}

TEST(WholeChatAnswerTest, IsOneObject) {
  WholeChatAnswer answer(Head(), {});
  answer.Take(Progress(10));
  answer.Take(Token("hm", v1::TEXT_KIND_REASONING));
  answer.Take(Token("A "));
  answer.Take(Token("fox"));
  answer.Take(Finished(v1::FINISH_REASON_CONTEXT_FULL, "."));
  std::string usage = kUsage;
  usage.replace(usage.find("\"reasoning_tokens\":0"), 20, "\"reasoning_tokens\":1");
  EXPECT_EQ(
      Dump(answer.ToJson()),
      R"({"id":"id-1","object":"chat.completion","created":1700000000,"model":"demo","choices":[{"index":0,"message":)"
      R"({"role":"assistant","content":"A fox.","refusal":null,"reasoning_content":"hm"},"logprobs":null,"finish_reason":"length"}],"usage":)" +
          usage + "}");
}

TEST(WholeChatAnswerTest, HasTheCallsOfTools) {
  WholeChatAnswer answer(Head(), {});
  answer.Take(Token("<tool_call>", v1::TEXT_KIND_TOOL_CALL));
  answer.Take(FinishedWithCalls());
  const Json choice = answer.ToJson()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 2u);
  EXPECT_FALSE(choice["message"]["tool_calls"][0].contains("index"));
  WholeChatAnswer one(Head(), {.one_tool_call = true});
  one.Take(FinishedWithCalls());
  EXPECT_EQ(one.ToJson()["choices"][0]["message"]["tool_calls"].size(), 1u);
}

ChatAnswerOptions Forced(const std::string& function) {
  return {.forced_call = ForcedCall{"call00001", function}};
}

TEST(WholeChatAnswerTest, MakesACallOfAnAnswerThatIsForced) {
  WholeChatAnswer answer(Head(), Forced("weather"));
  answer.Take(Token(R"({"at":)"));
  answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, R"( "here"})"));
  const Json choice = answer.ToJson()["choices"][0];
  EXPECT_EQ(
      Dump(choice["message"]),
      R"({"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call00001","type":"function","function":{"name":"weather","arguments":"{\"at\": \"here\"}"}}]})");
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
}

TEST(WholeChatAnswerTest, TakesTheNameOfTheToolFromAnAnswerThatMayCallAny) {
  WholeChatAnswer answer(Head(), Forced(""));
  answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT,
                       R"({"name": "time", "arguments": {"z": 1.5, "a": []}})"));
  const Json call = answer.ToJson()["choices"][0]["message"]["tool_calls"][0];
  EXPECT_EQ(Dump(call["function"]), R"({"name":"time","arguments":"{\"z\":1.5,\"a\":[]}"})");
}

TEST(WholeChatAnswerTest, SaysThatAForcedCallIsCutOff) {
  WholeChatAnswer named(Head(), Forced("weather"));
  named.Take(Token(R"({"at)"));
  named.Take(Finished(v1::FINISH_REASON_MAX_TOKENS));
  Json choice = named.ToJson()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["arguments"], R"({"at)");
  WholeChatAnswer any(Head(), Forced(""));  // whose name may be cut off as well
  any.Take(Token(R"({"na)"));
  any.Take(Finished(v1::FINISH_REASON_MAX_TOKENS));
  choice = any.ToJson()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["content"], R"({"na)");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
}

TEST(StreamedChatAnswerTest, GivesAForcedCallWhole) {
  StreamedChatAnswer answer(Head(), Forced("f"));
  EXPECT_EQ(answer.Take(Token("{")), ChatChunk(R"({"role":"assistant","content":""})"));
  EXPECT_EQ(
      answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT, "}")),
      ChatChunk(
          R"({"tool_calls":[{"index":0,"id":"call00001","type":"function","function":{"name":"f","arguments":"{}"}}]})") +
          ChatChunk("{}", "\"tool_calls\"") + "data: [DONE]\n\n");
}

TEST(ChatLogprobTest, HasTextBytesAndAlternatives) {
  v1::GenerateResponse event = Token("");
  const struct {
    int id;
    const char* text;
  } kAlternatives[] = {{7, "é"}, {8, "\xEF\xBF\xBD"}};
  for (const auto& alternative : kAlternatives) {
    v1::TokenLogprob& top = *event.mutable_token()->add_top_logprobs();
    top.set_token(alternative.id);
    top.set_text(alternative.text);
    top.set_logprob(-0.5f);
  }
  EXPECT_EQ(
      Dump(ChatLogprob(event.token())),
      R"({"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"é","logprob":-0.5,"bytes":[195,169]},)"
      R"({"token":"�","logprob":-0.5,"bytes":null}]})");
}

TEST(ChatLogprobTest, ComesWithEveryTokenOfTheContent) {
  WholeChatAnswer whole(Head(), {.logprobs = true});
  StreamedChatAnswer streamed(Head(), {.logprobs = true});
  for (const auto& event : {Token("hm", v1::TEXT_KIND_REASONING), Token("A"), Token("")}) {
    whole.Take(event);
    streamed.Take(event);
  }
  EXPECT_EQ(whole.ToJson()["choices"][0]["logprobs"]["content"].size(), 2u);
  EXPECT_NE(streamed.Take(Token("")).find(R"("logprobs":{"content":[{"token":"")"),
            std::string::npos);
}

std::string CompletionChunk(const std::string& text, const std::string& finish_reason = "null") {
  return R"(data: {"id":"id-1","object":"text_completion","created":1700000000,"model":"demo","choices":[{"index":0,"text":")" +
         text + R"(","logprobs":null,"finish_reason":)" + finish_reason + "}]}\n\n";
}

TEST(StreamedCompletionTest, WritesTheseBytes) {
  StreamedCompletion answer(Head(), /*logprobs=*/false, /*include_usage=*/false);
  EXPECT_EQ(answer.Take(LoadProgress(v1::LOAD_PHASE_ADMISSION)), "");
  EXPECT_EQ(answer.Take(Queued(0)), ": queue: 0 before this\n\n");
  EXPECT_EQ(answer.Take(Progress(10)), ": prompt: 3 of 10 tokens\n\n");
  EXPECT_EQ(answer.Take(Token("fox")), CompletionChunk("fox"));
  EXPECT_EQ(answer.Take(Finished(v1::FINISH_REASON_STOP, "!")),
            CompletionChunk("!", "\"stop\"") + "data: [DONE]\n\n");
}

TEST(WholeCompletionTest, IsOneObjectWithLogprobsWhereTheyAreWanted) {
  WholeCompletion answer(Head(), /*logprobs=*/true);
  answer.Take(Token("A "));
  answer.Take(Token("fox"));
  answer.Take(Finished(v1::FINISH_REASON_END_OF_TEXT));
  EXPECT_EQ(
      Dump(answer.ToJson()),
      R"({"id":"id-1","object":"text_completion","created":1700000000,"model":"demo","choices":[{"index":0,"text":"A fox",)"
      R"("logprobs":{"tokens":["A ","fox"],"token_logprobs":[-0.5,-0.5],"top_logprobs":[{},{}],"text_offset":[0,2]},"finish_reason":"stop"}],"usage":)" +
          std::string(kUsage) + "}");
}

TEST(CompletionLogprobsTest, CountCharactersAndKeepTheMostLikelyOfEqualTexts) {
  for (const bool is_streamed : {false, true}) {
    WholeCompletion whole(Head(), /*logprobs=*/true);
    StreamedCompletion streamed(Head(), /*logprobs=*/true, /*include_usage=*/false);
    v1::GenerateResponse event = Token("fox");
    for (const float logprob : {-1.0f, -2.0f, -INFINITY}) {
      v1::TokenLogprob& top = *event.mutable_token()->add_top_logprobs();
      top.set_text(std::isfinite(logprob) ? "\xEF\xBF\xBD" : "x");
      top.set_logprob(logprob);
    }
    whole.Take(Token("é "));
    streamed.Take(Token("é "));
    std::string chunk = streamed.Take(event).substr(std::string("data: ").size());
    whole.Take(event);
    const Json answer = is_streamed ? Json::parse(chunk) : whole.ToJson();
    const Json logprobs = answer["choices"][0]["logprobs"];
    EXPECT_EQ(logprobs["text_offset"].back(), 2);
    EXPECT_EQ(Dump(logprobs["top_logprobs"].back()), "{\"\xEF\xBF\xBD\":-1.0,\"x\":-9999.0}");
  }
}

TEST(EmbeddingAnswerTest, GivesNumbersOrTheirBytes) {
  v1::EmbedResponse response;
  response.set_index(0);
  response.set_token_count(3);
  response.add_values(1.0f);
  response.add_values(-2.5f);
  EmbeddingAnswer numbers("demo", /*is_base64=*/false);
  numbers.Take(response);
  EXPECT_EQ(
      numbers.Body(),
      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0,-2.5]}],"model":"demo","usage":{"prompt_tokens":3,"total_tokens":3}})");
  EmbeddingAnswer bytes("demo", /*is_base64=*/true);
  bytes.Take(response);
  EXPECT_EQ(Json::parse(bytes.Body())["data"][0]["embedding"],
            "AACAPwAAIMA=");  // struct.pack("<ff", 1, -2.5)
}

TEST(EmbeddingAnswerTest, FillsBase64UpToFourDigits) {
  EXPECT_EQ(Base64({}), "");
  EXPECT_EQ(Base64({1.0f}), "AACAPw==");
  EXPECT_EQ(Base64({1.0f, 1.0f, 1.0f}), "AACAPwAAgD8AAIA/");
}

TEST(ServerSentErrorTest, IsAnEventThatClientsTakeForAFailure) {
  ApiError error;
  error.http_status = 503;
  error.message = "gone";
  EXPECT_EQ(
      ServerSentError(error),
      R"(data: {"error":{"message":"gone","type":"service_unavailable_error","param":null,"code":null}})"
      "\n\n");
}

}  // namespace
}  // namespace forge::gateway
