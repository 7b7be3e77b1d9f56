#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// What one Score call gave.
struct ScoreOutcome {
  std::vector<v1::TokenScore> scores;
  std::optional<v1::ScoreResponse::Finished> finished;
  grpc::Status status;
};

class ScoreTest : public ::testing::Test {
 protected:
  explicit ScoreTest(const std::function<void(Config&)>& configure = {}) : daemon_(configure) {
    daemon_.AddModel("tiny");
    daemon_.LoadModel("tiny");
  }

  static v1::ScoreRequest Text(const std::string& text) {
    v1::ScoreRequest request;
    request.set_model("tiny");
    request.mutable_input()->mutable_text()->set_text(text);
    return request;
  }
  static v1::ScoreRequest Tokens(int n) {
    v1::ScoreRequest request;
    request.set_model("tiny");
    v1::TokenIds& tokens = *request.mutable_input()->mutable_tokens();
    for (int i = 0; i < n; ++i) tokens.add_ids(i % 26);
    return request;
  }
  ScoreOutcome Score(const v1::ScoreRequest& request) {
    grpc::ClientContext context;
    const auto stream = stub_->Score(&context, request);
    ScoreOutcome outcome;
    v1::ScoreResponse response;
    while (stream->Read(&response)) {
      for (const v1::TokenScore& score : response.scores().scores())
        outcome.scores.push_back(score);
      if (response.has_finished()) outcome.finished = response.finished();
    }
    outcome.status = stream->Finish();
    return outcome;
  }

  TestDaemon daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(ScoreTest, GivesEveryTokenWithItsTextAndAllButTheFirstALogprob) {
  v1::ScoreRequest request = Text("acz");
  request.set_top_logprobs(2);
  const ScoreOutcome outcome = Score(request);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  ASSERT_EQ(outcome.scores.size(), 4u);
  EXPECT_EQ(outcome.scores[0].token(), FakeEngine::kBos);
  EXPECT_EQ(outcome.scores[0].text(), "<s>");
  EXPECT_FALSE(outcome.scores[0].has_logprob());
  EXPECT_EQ(outcome.scores[2].text(), "c");
  EXPECT_EQ(outcome.scores[2].logprob(), -0.25f);
  ASSERT_EQ(outcome.scores[2].top_logprobs_size(), 2);
  EXPECT_EQ(outcome.scores[2].top_logprobs(1).text(), "b");
  EXPECT_EQ(outcome.scores[3].text(), "\xef\xbf\xbd");
  ASSERT_TRUE(outcome.finished);
  EXPECT_EQ(outcome.finished->scored_tokens(), 3u);
  EXPECT_DOUBLE_EQ(outcome.finished->total_logprob(), 0.0 - 0.25 - 25 * 0.125);
  EXPECT_EQ(outcome.finished->usage().prompt_tokens(), 4u);
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(ScoreTest, TakesTokenIdsAsTheyAreAndASingleOneToo) {
  const ScoreOutcome outcome = Score(Tokens(1));
  ASSERT_TRUE(outcome.status.ok());
  ASSERT_EQ(outcome.scores.size(), 1u);
  EXPECT_FALSE(outcome.scores[0].has_logprob());
  EXPECT_EQ(outcome.finished->scored_tokens(), 0u);
}

TEST_F(ScoreTest, RefusesWhatCannotBeReadByName) {
  EXPECT_ERROR(Score(Text("")).status, INVALID_ARGUMENT, "INVALID_REQUEST");
  EXPECT_EQ(ErrorInfoOf(Score(Tokens(0)).status).metadata().at("field"), "input.tokens.ids");
  v1::ScoreRequest none;
  none.set_model("tiny");
  EXPECT_EQ(ErrorInfoOf(Score(none).status).metadata().at("field"), "input");
  const grpc::Status too_long = Score(Tokens(4097)).status;
  EXPECT_ERROR(too_long, OUT_OF_RANGE, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_EQ(ErrorInfoOf(too_long).metadata().at("inputTokens"), "4097");
  v1::ScoreRequest absent = Text("a");
  absent.set_model("absent");
  EXPECT_ERROR(Score(absent).status, NOT_FOUND, "MODEL_NOT_FOUND");
  daemon_.engine().SetSubmitFailure(ResourceExhausted("full").WithReason("QUEUE_FULL"));
  EXPECT_ERROR(Score(Text("a")).status, RESOURCE_EXHAUSTED, "QUEUE_FULL");
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(ScoreTest, AClientThatLeavesFreesItsSlot) {
  daemon_.engine().SetTokenDelay(milliseconds(2));
  grpc::ClientContext context;
  const auto stream = stub_->Score(&context, Tokens(4000));
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  context.TryCancel();
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ScoreTest, UnloadingTheModelEndsTheCall) {
  daemon_.engine().SetTokenDelay(milliseconds(2));
  grpc::ClientContext context;
  const auto stream = stub_->Score(&context, Tokens(4000));
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  grpc::ClientContext unload_context;
  v1::UnloadModelRequest unload;
  unload.set_model("tiny");
  v1::UnloadModelResponse unloaded;
  ASSERT_TRUE(stub_->UnloadModel(&unload_context, unload, &unloaded).ok());
  while (stream->Read(&response)) {
  }
  const grpc::Status status = stream->Finish();
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_NE(status.error_message().find("was unloaded"), std::string::npos);
}

TEST_F(ScoreTest, AModelThatWasNeverLoadedIsNotCalledUnloaded) {
  daemon_.AddModel("other");
  v1::ScoreRequest request = Tokens(2);
  request.set_model("other");
  grpc::ClientContext context;
  const grpc::Status status = stub_->Score(&context, request)->Finish();
  EXPECT_ERROR(status, FAILED_PRECONDITION, "MODEL_NOT_LOADED");
  EXPECT_NE(status.error_message().find("is not loaded"), std::string::npos)
      << status.error_message();
}

TEST_F(ScoreTest, ADrainLetsItEndAndTakesNoOther) {
  daemon_.engine().SetTokenDelay(milliseconds(1));
  grpc::ClientContext context;
  const auto stream = stub_->Score(&context, Tokens(100));
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  daemon_.context().running_calls.BeginDrain();
  EXPECT_ERROR(Score(Text("a")).status, UNAVAILABLE, "SHUTTING_DOWN");
  int n_scores = response.scores().scores_size();
  while (stream->Read(&response)) n_scores += response.scores().scores_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(n_scores, 100);
}

class ScoreLimitsTest : public ScoreTest {
 protected:
  ScoreLimitsTest()
      : ScoreTest([](Config& config) {
          config.limits.generate_deadline = milliseconds(100);
          config.limits.max_streams = 1;
        }) {}
};

TEST_F(ScoreLimitsTest, HasTheDeadlineAndTheLimitOfStreams) {
  daemon_.engine().SetTokenDelay(milliseconds(5));
  while (daemon_.context().stream_admission.count() > 0) std::this_thread::yield();
  grpc::ClientContext context;
  const auto stream = stub_->Score(&context, Tokens(4000));
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_ERROR(Score(Text("a")).status, RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS");
  while (stream->Read(&response)) {
  }
  EXPECT_ERROR(stream->Finish(), DEADLINE_EXCEEDED, "TURN_TOO_SLOW");
}

}  // namespace
}  // namespace forge::testing
