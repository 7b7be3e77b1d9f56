#include "engine/runtime/reading.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/engine/runtime/reading_sinks.h"
#include "tests/engine/runtime/scheduler_fixture.h"

namespace forge {
namespace {

using testing::CollectingEmbedding;
using testing::CollectingScores;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using testing::Greedy;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::Prompt;
using testing::ReadingResult;
using testing::SchedulerTest;

// Readings of texts by a scheduler around the fake model: two slots, chunks of 16 tokens.
class ReadingTest : public SchedulerTest {
 protected:
  std::shared_ptr<CollectingScores> Score(ScoreRequest request) {
    auto sink = std::make_shared<CollectingScores>();
    EXPECT_TRUE(scheduler_.Score(Open(), std::move(request), sink).ok());
    return sink;
  }
  std::shared_ptr<CollectingEmbedding> Embed(EmbedRequest request) {
    auto sink = std::make_shared<CollectingEmbedding>();
    EXPECT_TRUE(scheduler_.Embed(Open(), std::move(request), sink).ok());
    return sink;
  }
  // What the fake model makes of a token after `tokens`: one token gets 20, the others 0.
  float ExpectedLogprob(const std::vector<TokenId>& tokens, TokenId token) const {
    const double log_sum_exp = std::log(std::exp(20.0) + options_.limits.n_vocab - 1);
    const double logit = model_.Next(tokens) == token ? 20.0 : 0.0;
    return static_cast<float>(logit - log_sum_exp);
  }
};

TEST_F(ReadingTest, ScoresEveryTokenButTheFirstAfterThoseBeforeIt) {
  std::vector<TokenId> tokens = Prompt(30);
  tokens.push_back(model_.Next(tokens));
  const auto sink = Score({.tokens = tokens, .top_logprobs = 1});
  RunUntilIdle();
  const ReadingResult result = sink->Result();
  EXPECT_EQ(result.n_finished, 1);
  EXPECT_TRUE(result.status.ok());
  ASSERT_EQ(result.scores.size(), 30u);
  for (size_t i = 1; i < tokens.size(); ++i) {
    const std::vector<TokenId> before(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(i));
    const TokenScore& score = result.scores[i - 1];
    EXPECT_EQ(score.token, tokens[i]);
    EXPECT_FLOAT_EQ(score.logprob, ExpectedLogprob(before, tokens[i])) << "token " << i;
    ASSERT_EQ(score.top_logprobs.size(), 1u);
    EXPECT_EQ(score.top_logprobs[0].token, model_.Next(before));
  }
  EXPECT_GT(result.scores.back().logprob, -0.01f);
  EXPECT_THAT(result.parts, ElementsAre(16, 14));
  EXPECT_THAT(result.progress, ElementsAre(Pair(16, 31), Pair(31, 31)));
  EXPECT_EQ(result.usage.prompt_tokens, 31u);
  EXPECT_EQ(result.usage.output_tokens, 0u);
}

TEST_F(ReadingTest, TakesTheWholeContextAndNotATokenMore) {
  const auto sink = Score({.tokens = Prompt(256)});
  RunUntilIdle();
  EXPECT_EQ(sink->Result().scores.size(), 255u);
  const auto refused = std::make_shared<CollectingScores>();
  const Status status = scheduler_.Score(Open(), {.tokens = Prompt(257)}, refused);
  EXPECT_EQ(status.reason(), "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(status.details(),
              ElementsAre(Pair("inputTokens", "257"), Pair("contextTokens", "256")));
  EXPECT_EQ(refused->Result().n_finished, 0);
}

TEST_F(ReadingTest, RefusesNothingToReadAndTokensThatAreNone) {
  const auto sink = std::make_shared<CollectingEmbedding>();
  EXPECT_EQ(scheduler_.Embed(Open(), {}, sink).reason(), "INVALID_REQUEST");
  const Status status = scheduler_.Embed(Open(), {.tokens = {1, -4}}, sink);
  EXPECT_EQ(status.reason(), "INVALID_REQUEST");
  EXPECT_THAT(status.details(), ElementsAre(Pair("field", "tokens[1]"), Pair("value", "-4")));
  const auto scores = std::make_shared<CollectingScores>();
  EXPECT_EQ(scheduler_.Score(Open(), {.tokens = {1}, .top_logprobs = 257}, scores).reason(),
            "INVALID_REQUEST");
}

TEST_F(ReadingTest, ASingleTokenHasNothingToBeScoredAfter) {
  const auto sink = Score({.tokens = {5}});
  RunUntilIdle();
  EXPECT_TRUE(sink->Result().status.ok());
  EXPECT_EQ(sink->Result().n_finished, 1);
  EXPECT_THAT(sink->Result().scores, IsEmpty());
}

TEST_F(ReadingTest, PoolsHiddenStatesAcrossChunks) {
  const std::vector<TokenId> tokens = Prompt(40);
  const auto hidden = [&](size_t n) { return model_.Hidden(std::span(tokens).first(n)); };
  std::vector<double> mean(3, 0.0);
  for (size_t n = 1; n <= tokens.size(); ++n)
    for (size_t i = 0; i < 3; ++i) mean[i] += static_cast<double>(hidden(n)[i]) / 40.0;
  const auto mean_sink = Embed({tokens, Pooling::kMean, /*normalize=*/false});
  const auto cls_sink = Embed({tokens, Pooling::kCls, /*normalize=*/false});
  const auto last_sink = Embed({tokens, Pooling::kLast, /*normalize=*/false});
  RunUntilIdle();
  EXPECT_THAT(*mean_sink->Result().embedding,
              ElementsAre(FloatEq(static_cast<float>(mean[0])),
                          FloatEq(static_cast<float>(mean[1])), FloatEq(1.0f)));
  EXPECT_EQ(*cls_sink->Result().embedding, hidden(1));
  EXPECT_EQ(*last_sink->Result().embedding, hidden(40));
}

TEST_F(ReadingTest, NormalizesToLengthOne) {
  const std::vector<TokenId> tokens = Prompt(20);
  const auto plain = Embed({tokens, Pooling::kMean, /*normalize=*/false});
  const auto unit = Embed({tokens, Pooling::kMean, /*normalize=*/true});
  RunUntilIdle();
  const std::vector<float> vector = *plain->Result().embedding;
  double length = 0.0;
  for (const float value : vector)
    length += static_cast<double>(value) * static_cast<double>(value);
  length = std::sqrt(length);
  const std::vector<float> normalized = *unit->Result().embedding;
  for (size_t i = 0; i < 3; ++i)
    EXPECT_FLOAT_EQ(normalized[i], static_cast<float>(vector[i] / length));
}

TEST_F(ReadingTest, StallsNoRunningStream) {
  const auto stream = Submit(Greedy(Prompt(4, 1), 100));
  Steps(1);
  const auto sink = Score({.tokens = Prompt(200, 2)});
  model_.ForgetSteps();
  while (sink->Result().n_finished == 0) Steps(1);
  EXPECT_EQ(model_.steps().size(), 13u);  // 200 tokens, 16 at a time
  EXPECT_EQ(stream->tokens.size(), 14u);  // one more with every step
  RunUntilIdle();
  EXPECT_EQ(stream->tokens, model_.Continue(Prompt(4, 1), 100));
  EXPECT_EQ(sink->Result().scores.size(), 199u);
}

TEST_F(ReadingTest, QueuesLikeTurnsAndCountsAsOne) {
  const auto a = Submit(Greedy(Prompt(4, 1), 5));
  const auto b = Submit(Greedy(Prompt(4, 2), 5));
  const auto waiting = Embed({.tokens = Prompt(4, 3)});
  Steps(1);
  EXPECT_THAT(waiting->Result().positions, ElementsAre(0));
  EXPECT_EQ(scheduler_.Snapshot().queued, 1u);
  for (uint32_t i = 0; i < 3; ++i) Embed({.tokens = Prompt(4, i)});
  const auto sink = std::make_shared<CollectingEmbedding>();
  EXPECT_EQ(scheduler_.Embed(Open(), {.tokens = Prompt(4)}, sink).reason(), "QUEUE_FULL");
  RunUntilIdle();
  EXPECT_TRUE(waiting->Result().status.ok());
}

TEST_F(ReadingTest, ClosingItsSessionEndsItBeforeTheNextStepAndFreesTheSlot) {
  const SessionId session = Open();
  const auto sink = std::make_shared<CollectingScores>();
  ASSERT_TRUE(scheduler_.Score(session, {.tokens = Prompt(250)}, sink).ok());
  Steps(2);
  EXPECT_EQ(scheduler_.Snapshot().slots_busy, 1u);
  scheduler_.Close(session);
  EXPECT_EQ(scheduler_.Snapshot().slots_busy, 0u);
  Steps(1);
  EXPECT_EQ(sink->Result().status.code(), StatusCode::kCancelled);
  EXPECT_EQ(sink->Result().scores.size(), 32u);
  EXPECT_FALSE(scheduler_.HasWork());
}

TEST_F(ReadingTest, NumbersThatAreNoneEndTheReadingOnly) {
  const auto stream = Submit(Greedy(Prompt(4, 1), 10));
  Steps(2);
  model_.computes_nonsense = true;
  const auto scores = Score({.tokens = Prompt(4, 2)});
  Steps(1);
  model_.computes_nonsense = false;
  EXPECT_EQ(scores->Result().status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(scores->Result().status.reason(), "MODEL_FILE_INVALID");
  model_.computes_nonsense = true;
  const auto embedding = Embed({.tokens = Prompt(4, 3)});
  RunUntilIdle();
  EXPECT_EQ(embedding->Result().status.code(), StatusCode::kDataLoss);
  EXPECT_FALSE(embedding->Result().embedding);
}

TEST_F(ReadingTest, TakesANewSessionOnly) {
  const SessionId session = Open();
  const auto turn = Submit(session, Greedy(Prompt(4), 2));
  const auto sink = std::make_shared<CollectingScores>();
  EXPECT_EQ(scheduler_.Score(session, {.tokens = Prompt(4)}, sink).reason(), "SESSION_BUSY");
  RunUntilIdle();
  EXPECT_EQ(scheduler_.Score(session, {.tokens = Prompt(4)}, sink).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(sink->Result().n_finished, 0);
}

}  // namespace
}  // namespace forge
