#include "engine/runtime/turn.h"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "tests/engine/runtime/scheduler_fixture.h"

namespace forge {
namespace {

using testing::Greedy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Prompt;
using testing::SchedulerTest;
using testing::StreamedText;
using testing::TestTokens;

// Turns run in a scheduler, as they always do.
using TurnTest = SchedulerTest;

TEST_F(TurnTest, ReportsLogprobsOfTheModelsOwnDistribution) {
  GenerateRequest request = Greedy(Prompt(3), 1);
  request.top_logprobs = 3;
  request.sampling.logit_bias = {{7, 100.0f}};  // chosen, though the model finds it unlikely
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  ASSERT_EQ(sink->events.size(), 1u);
  const double log_sum_exp = std::log(std::exp(20.0) + options_.limits.n_vocab - 1.0);
  EXPECT_EQ(sink->events[0].token, 7);
  EXPECT_NEAR(sink->events[0].logprob, -log_sum_exp, 1e-5);
  ASSERT_EQ(sink->events[0].top_logprobs.size(), 3u);
  EXPECT_EQ(sink->events[0].top_logprobs[0].token, model_.Next(Prompt(3)));
  EXPECT_NEAR(sink->events[0].top_logprobs[0].logprob, 20.0 - log_sum_exp, 1e-5);
}

TEST_F(TurnTest, EndsWithTheModelsEndOfTextWhichBelongsToTheSequence) {
  const TokenId end = *testing::TestTokenizer().special().eos;
  model_.script = [&](std::span<const TokenId> sequence) {
    return sequence.size() % 8 == 6 ? std::optional(end) : std::nullopt;
  };
  const SessionId session = Open();
  const auto sink = Submit(session, Greedy(Prompt(4), 50));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
  ASSERT_EQ(sink->tokens.size(), 3u);
  EXPECT_EQ(sink->tokens.back(), end);
  EXPECT_EQ(sink->events.back().text, "");
  EXPECT_EQ(scheduler_.Tokens(session)->back(), end);
  GenerateRequest request = Greedy(Prompt(4), 5);
  request.ignore_end = true;
  const auto on = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(on->reason, FinishReason::kMaxTokens);
  EXPECT_EQ(on->tokens[2], end);
}

TEST_F(TurnTest, StopsAtAStopTokenWithoutItsText) {
  const std::vector<TokenId> expected = model_.Continue(Prompt(4), 3);
  GenerateRequest request = Greedy(Prompt(4), 50);
  request.stop_tokens = {expected[2]};
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kStopString);
  EXPECT_EQ(sink->tokens, expected);
  EXPECT_EQ(sink->text, StreamedText({expected[0], expected[1]}));
}

TEST_F(TurnTest, StopStringsAcrossTokensAreNeverLeaked) {
  const std::vector<TokenId> answer = TestTokens("hello world and that is the end");
  model_.script = [&](std::span<const TokenId> sequence) {
    return answer[(sequence.size() - 2) % answer.size()];
  };
  GenerateRequest request = Greedy(Prompt(2), static_cast<uint32_t>(answer.size()));
  request.stop_strings = {"d that i", "world hello"};
  const SessionId session = Open();
  const auto sink = Submit(session, std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kStopString);
  EXPECT_EQ(sink->text, "hello world an");
  EXPECT_EQ(sink->stop_string, "d that i");
  // The session keeps every token that was generated.
  EXPECT_EQ(sink->usage.context_used, 2 + sink->tokens.size());
}

TEST_F(TurnTest, TextHeldBackForAStopStringComesWithTheEnd) {
  const std::vector<TokenId> answer = TestTokens("hello world");
  model_.script = [&](std::span<const TokenId> sequence) {
    return answer[(sequence.size() - 2) % answer.size()];
  };
  GenerateRequest request = Greedy(Prompt(2), static_cast<uint32_t>(answer.size()));
  request.stop_strings = {"world!"};
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
  EXPECT_EQ(sink->text, "hello world");
  EXPECT_EQ(sink->stop_string, "");
}

TEST_F(TurnTest, ATextDependsOnItsSeedAndNotOnWhoElseRuns) {
  const auto request = [](uint64_t seed) {
    GenerateRequest sampled = Greedy(Prompt(4), 20);
    sampled.sampling.temperature = 10.0f;  // nearly flat over the vocabulary
    sampled.sampling.top_k = 0;
    sampled.sampling.top_p = 1.0f;
    sampled.sampling.min_p = 0.0f;
    sampled.sampling.seed = seed;
    sampled.ignore_end = true;
    return sampled;
  };
  const auto alone = Submit(request(1));
  RunUntilIdle();
  const auto other = Submit(request(2));
  Steps(3);
  const auto together = Submit(request(1));
  RunUntilIdle();
  EXPECT_EQ(alone->tokens, together->tokens);
  EXPECT_NE(alone->tokens, other->tokens);
}

TEST_F(TurnTest, AConstraintRestrictsTheChoiceAndEndsTheTurnWhereNothingMayFollow) {
  GenerateRequest request = Greedy(Prompt(4), 50);
  request.constraint = {OutputConstraint::Kind::kGrammar, "root ::= \"hello\" [0-9]{3}"};
  request.top_logprobs = 1;
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
  ASSERT_EQ(sink->text.size(), 8u);
  EXPECT_EQ(sink->text.substr(0, 5), "hello");
  // What the model itself found likely is still what is reported.
  EXPECT_EQ(sink->events[0].top_logprobs[0].token, model_.Next(Prompt(4)));
  EXPECT_LT(sink->events[0].logprob, -10.0f);
}

TEST_F(TurnTest, AConstraintLetsTheModelEndOnlyWhereTheTextIsComplete) {
  const TokenId end = *testing::TestTokenizer().special().eos;
  model_.script = [end](std::span<const TokenId>) { return end; };
  GenerateRequest request = Greedy(Prompt(4), 50);
  request.constraint = {OutputConstraint::Kind::kGrammar, "root ::= \"hello\" \"!\"*"};
  const auto sink = Submit(request);
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
  EXPECT_EQ(sink->text, "hello");
  EXPECT_EQ(sink->tokens.back(), end);
  request.ignore_end = true;
  const auto endless = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(endless->reason, FinishReason::kMaxTokens);
  EXPECT_EQ(endless->text.substr(0, 7), "hello!!");
}

TEST_F(TurnTest, AConstraintThatBecomesTooComplexEndsTheTurnWithAnError) {
  const TokenId parenthesis = TestTokens("(").front();
  model_.script = [parenthesis](std::span<const TokenId>) { return parenthesis; };
  // Each "(" nests 20 rules more.
  std::string grammar = "root ::= \"x\" | \"(\" r0\n";
  for (int i = 0; i < 20; ++i)
    grammar += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + " \")\"\n";
  GenerateRequest request = Greedy(Prompt(4), 200);
  request.constraint = {OutputConstraint::Kind::kGrammar, grammar + "r20 ::= root"};
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->n_finished, 1);
  EXPECT_EQ(sink->status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(sink->status.reason(), "GRAMMAR_TOO_COMPLEX");
  EXPECT_GT(sink->tokens.size(), 20u);
}

TEST_F(TurnTest, LogitsThatAreNoNumbersEndTheTurn) {
  model_.computes_nonsense = true;
  const auto sink = Submit(Greedy(Prompt(4), 5));
  RunUntilIdle();
  EXPECT_EQ(sink->status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(sink->tokens, IsEmpty());
}

struct BadRequest {
  const char* field;
  std::function<void(GenerateRequest&)> spoil;
};

class BadRequestTest : public SchedulerTest, public ::testing::WithParamInterface<BadRequest> {};

TEST_P(BadRequestTest, IsRefusedNamingTheField) {
  GenerateRequest request = Greedy(Prompt(4), 3);
  GetParam().spoil(request);
  const Status status = Refused(Open(), std::move(request));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "INVALID_REQUEST");
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().field));
  EXPECT_FALSE(scheduler_.HasWork());
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadRequestTest,
    ::testing::Values(
        BadRequest{"prompt", [](GenerateRequest& r) { r.prompt.clear(); }},
        BadRequest{"prompt[1]",
                   [](GenerateRequest& r) {
                     r.prompt = {3, -1};
                   }},
        BadRequest{"prompt[0]", [](GenerateRequest& r) { r.prompt = {1 << 30}; }},
        BadRequest{"temperature", [](GenerateRequest& r) { r.sampling.temperature = -1.0f; }},
        BadRequest{"stop_strings", [](GenerateRequest& r) { r.stop_strings.assign(10000, "x"); }},
        BadRequest{"stop_strings[0]", [](GenerateRequest& r) { r.stop_strings = {""}; }},
        BadRequest{"stop_strings[1]",
                   [](GenerateRequest& r) {
                     r.stop_strings = {"a", std::string(1025, 'b')};
                   }},
        BadRequest{"stop_tokens[0]", [](GenerateRequest& r) { r.stop_tokens = {-5}; }},
        BadRequest{"stop_tokens", [](GenerateRequest& r) { r.stop_tokens.assign(257, 1); }},
        BadRequest{"top_logprobs", [](GenerateRequest& r) { r.top_logprobs = 257; }}));

}  // namespace
}  // namespace forge
