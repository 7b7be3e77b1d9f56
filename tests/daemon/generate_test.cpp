#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/daemon/generate_fixture.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST_F(GenerateTest, StreamsTokensAndEndsWithUsage) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "abc"));
  open.stream->WritesDone();
  const TurnOutcome outcome = ReadTurn(*open.stream);
  EXPECT_EQ(outcome.text, "abcde");
  ASSERT_TRUE(outcome.finished);
  EXPECT_EQ(outcome.finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
  EXPECT_EQ(outcome.finished->usage().prompt_tokens(), 4u) << "bos and three letters";
  EXPECT_EQ(outcome.finished->usage().output_tokens(), 5u);
  EXPECT_EQ(outcome.finished->usage().decode_duration().seconds(), 1);
  EXPECT_EQ(outcome.finished->usage().decode_duration().nanos(), 500'000'000);
  EXPECT_TRUE(open.End().ok());
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(GenerateTest, ContinuesTheConversationOnOneSession) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  EXPECT_EQ(ReadTurn(*open.stream).finished->usage().context_used(), 5u);
  open.stream->Write(TextTurn("", "b"));
  EXPECT_EQ(ReadTurn(*open.stream).finished->usage().context_used(), 10u);
  EXPECT_THAT(daemon_.engine().last_request().prompt, ::testing::ElementsAre(1))
      << "only the first turn begins with bos";
  EXPECT_EQ(daemon_.engine().n_sessions(), 1u);
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, TakesTextWithoutSpecialTokensChatAndTokenIds) {
  v1::GenerateRequest request = TextTurn("tiny", "a");
  request.mutable_turn()->mutable_text()->set_skip_special(true);
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_THAT(daemon_.engine().last_request().prompt, ::testing::ElementsAre(0));

  request = TextTurn("tiny", "");
  for (const int id : {7, 8, 9}) request.mutable_turn()->mutable_tokens()->add_ids(id);
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_THAT(daemon_.engine().last_request().prompt, ::testing::ElementsAre(7, 8, 9));

  OpenStream open(*stub_);
  v1::GenerateRequest chat;
  chat.mutable_turn()->set_model("tiny");
  auto* message = chat.mutable_turn()->mutable_chat()->add_messages();
  message->set_role("user");
  message->set_content("hello");
  open.stream->Write(chat);
  ReadTurn(*open.stream);
  EXPECT_THAT(daemon_.engine().last_request().prompt, ::testing::ElementsAre(FakeEngine::kBos, 5));
  open.stream->Write(chat);
  ReadTurn(*open.stream);
  EXPECT_THAT(daemon_.engine().last_request().prompt,
              ::testing::ElementsAre(FakeEngine::kContinuation, 5, 3, 5))
      << "the conversation has the answer, \"yes\", too";
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, PassesOptionsOnAndKeepsDefaultsOfUnsetOnes) {
  v1::GenerateRequest request = TextTurn("tiny", "a");
  auto* turn = request.mutable_turn();
  turn->mutable_sampling()->set_temperature(0.0f);
  turn->mutable_sampling()->set_top_k(7);
  (*turn->mutable_sampling()->mutable_logit_bias())[3] = -2.5f;
  turn->set_max_tokens(2);
  turn->add_stop_strings("END");
  turn->add_stop_tokens(11);
  turn->set_ignore_end_of_text(true);
  EXPECT_TRUE(StatusOf(request).ok());
  const GenerateRequest seen = daemon_.engine().last_request();
  EXPECT_EQ(seen.sampling.temperature, 0.0f);
  EXPECT_EQ(seen.sampling.top_k, 7);
  EXPECT_EQ(seen.sampling.top_p, SamplingOptions().top_p);
  EXPECT_THAT(seen.sampling.logit_bias, ::testing::ElementsAre(std::pair(3, -2.5f)));
  EXPECT_EQ(seen.max_tokens, 2u);
  EXPECT_THAT(seen.stop_strings, ::testing::ElementsAre("END"));
  EXPECT_THAT(seen.stop_tokens, ::testing::ElementsAre(11));
  EXPECT_TRUE(seen.ignore_end);
}

TEST_F(GenerateTest, PassesTheConstraintOn) {
  v1::GenerateRequest request = TextTurn("tiny", "a");
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_FALSE(daemon_.engine().last_request().constraint.has_value());
  request.mutable_turn()->set_json_schema("{}");
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_EQ(daemon_.engine().last_request().constraint,
            (OutputConstraint{OutputConstraint::Kind::kJsonSchema, "{}"}));
  request.mutable_turn()->set_grammar("root ::= [a-z]");
  EXPECT_TRUE(StatusOf(request).ok());
  EXPECT_EQ(daemon_.engine().last_request().constraint,
            (OutputConstraint{OutputConstraint::Kind::kGrammar, "root ::= [a-z]"}));
}

TEST_F(GenerateTest, ReportsTheSeedGivenOrDrawn) {
  OpenStream open(*stub_);
  v1::GenerateRequest request = TextTurn("tiny", "a");
  request.mutable_turn()->mutable_sampling()->set_seed(42);
  open.stream->Write(request);
  EXPECT_EQ(ReadTurn(*open.stream).finished->seed(), 42u);
  std::vector<uint64_t> drawn;
  for (int i = 0; i < 2; ++i) {
    open.stream->Write(TextTurn("", "a"));
    drawn.push_back(ReadTurn(*open.stream).finished->seed());
    EXPECT_EQ(drawn.back(), daemon_.engine().last_request().sampling.seed);
  }
  EXPECT_NE(drawn[0], drawn[1]);
  open.stream->WritesDone();
  open.End();
}

TEST_F(GenerateTest, NamesTheAlternativesOfEachToken) {
  v1::GenerateRequest request = TextTurn("tiny", "a");
  request.mutable_turn()->set_top_logprobs(26);
  OpenStream open(*stub_);
  open.stream->Write(request);
  open.stream->WritesDone();
  const TurnOutcome outcome = ReadTurn(*open.stream);
  for (const auto& token : outcome.tokens) {
    ASSERT_EQ(token.top_logprobs_size(), 26);
    EXPECT_EQ(token.top_logprobs(1).text(), "b");
    EXPECT_FLOAT_EQ(token.top_logprobs(1).logprob(), -1.5f);
    EXPECT_EQ(token.top_logprobs(25).text(), "\xef\xbf\xbd") << "half a character";
  }
  EXPECT_EQ(outcome.tokens.size(), 5u);
}

TEST_F(GenerateTest, ReplacesWhatIsNotUtf8) {
  daemon_.engine().SetTokenText("\xff");
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  open.stream->WritesDone();
  EXPECT_EQ(ReadTurn(*open.stream).tokens.at(0).text(), "\xef\xbf\xbd");
}

TEST_F(GenerateTest, TwoStreamsRunAtTheSameTime) {
  daemon_.engine().SetAnswerLength(200);
  daemon_.engine().SetTokenDelay(milliseconds(5));  // neither ends before both have begun
  OpenStream first(*stub_), second(*stub_);
  first.stream->Write(TextTurn("tiny", "a"));
  second.stream->Write(TextTurn("tiny", "b"));
  v1::GenerateResponse response;
  const auto reads_token = [&response](OpenStream& open) {
    while (open.stream->Read(&response)) {
      if (response.has_token()) return true;
    }
    return false;
  };
  ASSERT_TRUE(reads_token(first));
  ASSERT_TRUE(reads_token(second));
  EXPECT_EQ(daemon_.engine().n_running(), 2u);
  EXPECT_EQ(ReadTurn(*first.stream).tokens.size(), 199u);
  EXPECT_EQ(ReadTurn(*second.stream).tokens.size(), 199u);
}

TEST_F(GenerateTest, CancelEndsTheTurnAndTheConversationGoesOn) {
  daemon_.engine().SetAnswerLength(1'000'000);
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  while (open.stream->Read(&response) && !response.has_token()) continue;
  open.stream->Write(CancelTurn());
  const TurnOutcome cancelled = ReadTurn(*open.stream);
  ASSERT_TRUE(cancelled.finished);
  EXPECT_EQ(cancelled.finished->reason(), v1::FINISH_REASON_CANCELLED);
  daemon_.engine().SetAnswerLength(3);
  open.stream->Write(TextTurn("", "b"));
  const TurnOutcome next = ReadTurn(*open.stream);
  ASSERT_TRUE(next.finished);
  EXPECT_EQ(next.finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, CancelRightAfterTheTurnIsNotLost) {
  daemon_.engine().SetAnswerLength(1'000'000);
  for (int i = 0; i < 50; ++i) {
    OpenStream open(*stub_);
    open.stream->Write(TextTurn("tiny", "a"));
    open.stream->Write(CancelTurn());
    const TurnOutcome outcome = ReadTurn(*open.stream);
    ASSERT_TRUE(outcome.finished);
    ASSERT_EQ(outcome.finished->reason(), v1::FINISH_REASON_CANCELLED);
  }
}

TEST_F(GenerateTest, CancelWithoutATurnHasNoEffect) {
  OpenStream open(*stub_);
  open.stream->Write(CancelTurn());
  open.stream->Write(TextTurn("tiny", "a"));
  EXPECT_EQ(ReadTurn(*open.stream).finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, TurnsSentTogetherRunOneAfterTheOther) {
  OpenStream open(*stub_);
  for (int i = 0; i < 5; ++i) open.stream->Write(TextTurn("tiny", "a"));
  open.stream->WritesDone();
  for (uint32_t i = 1; i <= 5; ++i) {
    const TurnOutcome outcome = ReadTurn(*open.stream);
    ASSERT_TRUE(outcome.finished);
    EXPECT_EQ(outcome.finished->usage().context_used(), 5 * i);
  }
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, HalfCloseLetsTheRunningTurnComplete) {
  daemon_.engine().SetAnswerLength(100);
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  open.stream->WritesDone();
  EXPECT_EQ(ReadTurn(*open.stream).tokens.size(), 100u);
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, StreamWithoutATurnEndsWell) {
  OpenStream open(*stub_);
  open.stream->WritesDone();
  EXPECT_TRUE(open.End().ok());
}

TEST_F(GenerateTest, LostClientFreesItsSessionWithin50Milliseconds) {
  daemon_.engine().SetAnswerLength(1'000'000);
  for (int i = 0; i < 5; ++i) {
    auto stub = daemon_.NewStub();
    auto open = std::make_unique<OpenStream>(*stub);
    open->stream->Write(TextTurn("tiny", "a"));
    v1::GenerateResponse response;
    while (open->stream->Read(&response) && !response.has_token()) continue;
    ASSERT_EQ(daemon_.engine().n_sessions(), 1u);
    const auto start = steady_clock::now();
    open->context.TryCancel();
    ASSERT_TRUE(daemon_.engine().WaitForSessions(0));
    EXPECT_LT(steady_clock::now() - start, milliseconds(50));
    open->End();
  }
}

TEST_F(GenerateTest, EndsWithTheEnginesError) {
  daemon_.engine().SetTurnFailure(Unavailable("the device is lost").WithReason("DEVICE_LOST"));
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  const TurnOutcome outcome = ReadTurn(*open.stream);
  EXPECT_EQ(outcome.text, "abcde") << "what was generated comes first";
  EXPECT_FALSE(outcome.finished);
  const grpc::Status status = open.End();
  EXPECT_ERROR(status, UNAVAILABLE, "DEVICE_LOST");
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status));
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(GenerateTest, UnloadEndsTheRunningTurn) {
  daemon_.engine().SetAnswerLength(1'000'000);
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  while (open.stream->Read(&response) && !response.has_token()) continue;
  grpc::ClientContext context;
  v1::UnloadModelRequest unload;
  unload.set_model("tiny");
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(stub_->UnloadModel(&context, unload, &unloaded).ok());
  EXPECT_ERROR(open.End(), CANCELLED, "MODEL_NOT_LOADED");
}

TEST_F(GenerateTest, TurnAfterAnUnloadSaysWhatToDo) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  ReadTurn(*open.stream);
  grpc::ClientContext context;
  v1::UnloadModelRequest unload;
  unload.set_model("tiny");
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(stub_->UnloadModel(&context, unload, &unloaded).ok());
  open.stream->Write(TextTurn("tiny", "b"));
  const grpc::Status status = open.End();
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr("was unloaded; load it with: forgectl load tiny"));
}

TEST_F(GenerateTest, ModelThatIsNotLoadedIsRefusedWithAHint) {
  daemon_.AddModel("other");
  const grpc::Status status = StatusOf(TextTurn("other", "a"));
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr("is not loaded; load it with: forgectl load other"));
  EXPECT_ERROR(StatusOf(TextTurn("absent", "a")), NOT_FOUND, "MODEL_NOT_FOUND");
  EXPECT_ERROR(StatusOf(TextTurn("../x", "a")), INVALID_ARGUMENT, "MODEL_PATH_OUTSIDE");
}

TEST_F(GenerateTest, ModelMayBeNamedByItsPath) {
  const std::string path = (daemon_.directory().path() / "models/tiny.gguf").string();
  EXPECT_TRUE(StatusOf(TextTurn(path, "a")).ok());
}

TEST_F(GenerateTest, ModelThatIsBeingLoadedIsBusy) {
  daemon_.AddModel("slow");
  daemon_.engine().HoldLoads();
  auto load =
      std::async(std::launch::async, [&] { return RunLoad(*daemon_.NewStub(), "slow").status; });
  while (!daemon_.residency().Find("slow")) std::this_thread::yield();
  const grpc::Status status = StatusOf(TextTurn("slow", "a"));
  EXPECT_ERROR(status, UNAVAILABLE, "MODEL_BUSY");
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status));
  daemon_.engine().ReleaseLoads();
  EXPECT_TRUE(load.get().ok());
}

TEST_F(GenerateTest, FaultsOfARequestNameTheField) {
  struct Case {
    v1::GenerateRequest request;
    std::string field;
  };
  std::vector<Case> cases(7);
  cases[0] = {v1::GenerateRequest(), "request"};
  cases[1] = {TextTurn("", "a"), "turn.model"};
  cases[2].request.mutable_turn()->set_model("tiny");
  cases[2].field = "turn.prompt";
  cases[3].request.mutable_turn()->set_model("tiny");
  cases[3].request.mutable_turn()->mutable_tokens();
  cases[3].field = "turn.tokens.ids";
  cases[4].request.mutable_turn()->set_model("tiny");
  cases[4].request.mutable_turn()->mutable_chat();
  cases[4].field = "turn.chat.messages";
  cases[5] = {TextTurn("tiny", "a"), "top_logprobs"};
  cases[5].request.mutable_turn()->set_top_logprobs(257);
  cases[6].request.mutable_turn()->set_model("tiny");
  cases[6].request.mutable_turn()->mutable_chat()->add_messages()->set_role("robot");
  cases[6].field = "chat.messages.role";
  for (const Case& c : cases) {
    SCOPED_TRACE(c.field);
    const grpc::Status status = StatusOf(c.request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    const auto bad_request = DetailOf<google::rpc::BadRequest>(status);
    ASSERT_TRUE(bad_request);
    EXPECT_EQ(bad_request->field_violations(0).field(), c.field);
  }
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0)) << "a refused turn leaves no session";
}

TEST_F(GenerateTest, AnotherModelInALaterTurnIsRefused) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  ReadTurn(*open.stream);
  open.stream->Write(TextTurn("other", "a"));
  EXPECT_ERROR(open.End(), INVALID_ARGUMENT, "INVALID_REQUEST");
}

TEST_F(GenerateTest, FullQueueIsRefusedWithARetryHint) {
  daemon_.engine().SetSubmitFailure(ResourceExhausted("256 turns wait").WithReason("QUEUE_FULL"));
  const grpc::Status status = StatusOf(TextTurn("tiny", "a"));
  EXPECT_ERROR(status, RESOURCE_EXHAUSTED, "QUEUE_FULL");
  EXPECT_TRUE(DetailOf<google::rpc::RetryInfo>(status));
}

TEST_F(GenerateTest, DrainLetsTurnsEndAndTakesNoMore) {
  daemon_.engine().SetAnswerLength(100);
  OpenStream idle(*stub_), running(*stub_);
  idle.stream->Write(TextTurn("tiny", "a"));
  ReadTurn(*idle.stream);
  running.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  while (running.stream->Read(&response) && !response.has_token()) continue;
  daemon_.context().running_calls.BeginDrain();
  EXPECT_ERROR(idle.End(), UNAVAILABLE, "SHUTTING_DOWN");
  const TurnOutcome outcome = ReadTurn(*running.stream);
  EXPECT_EQ(outcome.tokens.size(), 99u);
  EXPECT_TRUE(outcome.finished);
  EXPECT_ERROR(running.End(), UNAVAILABLE, "SHUTTING_DOWN");
  EXPECT_ERROR(StatusOf(TextTurn("tiny", "a")), UNAVAILABLE, "SHUTTING_DOWN");
}

TEST_F(GenerateTest, AbortEndsARunningTurn) {
  daemon_.engine().SetAnswerLength(1'000'000);
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  while (open.stream->Read(&response) && !response.has_token()) continue;
  daemon_.context().running_calls.AbortAll(Unavailable("over").WithReason("SHUTTING_DOWN"));
  EXPECT_ERROR(open.End(), UNAVAILABLE, "SHUTTING_DOWN");
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

}  // namespace
}  // namespace forge::testing
