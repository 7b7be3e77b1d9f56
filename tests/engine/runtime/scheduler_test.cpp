#include "engine/runtime/scheduler.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/engine/runtime/scheduler_fixture.h"

namespace forge {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::FakeModel;
using ::testing::Ge;
using testing::Greedy;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Pair;
using testing::Prompt;
using testing::RecordingSink;
using testing::SchedulerTest;
using testing::StreamedText;
using State = SequenceStatus::State;

TEST_F(SchedulerTest, RunsATurnToItsEnd) {
  const std::vector<TokenId> prompt = Prompt(20);
  const auto sink = Submit(Greedy(prompt, 5));
  EXPECT_EQ(n_wakes_, 1);
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, model_.Continue(prompt, 5));
  EXPECT_TRUE(sink->finished());
  EXPECT_TRUE(sink->status.ok());
  EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
  EXPECT_THAT(sink->positions, IsEmpty());
  EXPECT_THAT(sink->progress, ElementsAre(Pair(16, 20), Pair(20, 20)));
  EXPECT_EQ(sink->usage.prompt_tokens, 20u);
  EXPECT_EQ(sink->usage.cached_tokens, 0u);
  EXPECT_EQ(sink->usage.output_tokens, 5u);
  EXPECT_EQ(sink->usage.context_used, 25u);
  EXPECT_EQ(sink->text, StreamedText(sink->tokens));
  // Two chunks of the prompt, the second of which gives the first token, then four tokens.
  EXPECT_EQ(model_.steps().size(), 6u);
}

TEST_F(SchedulerTest, ALongPromptStallsNoRunningStream) {
  const auto stream = Submit(Greedy(Prompt(4, 1), 100));
  Steps(1);
  ASSERT_EQ(stream->tokens.size(), 1u);
  const auto other = Submit(Greedy(Prompt(200, 2), 1));
  model_.ForgetSteps();
  while (!other->finished()) Steps(1);
  EXPECT_EQ(model_.steps().size(), 13u);  // 200 tokens, 16 at a time
  EXPECT_EQ(stream->tokens.size(), 14u);  // one more with every step
  for (const std::vector<FakeModel::Part>& parts : model_.steps()) {
    ASSERT_EQ(parts.size(), 2u);
    EXPECT_EQ(parts[0].n_tokens, 1u);
    EXPECT_TRUE(parts[0].is_generated);
    EXPECT_LE(parts[1].n_tokens, 16u);
    EXPECT_FALSE(parts[1].is_generated);
  }
  RunUntilIdle();
  EXPECT_EQ(stream->tokens, model_.Continue(Prompt(4, 1), 100));
}

TEST_F(SchedulerTest, PromptsTakeTurnsSoThatAShortOneDoesNotWaitForALongOne) {
  const auto long_turn = Submit(Greedy(Prompt(200, 1), 1));
  Steps(1);
  const auto short_turn = Submit(Greedy(Prompt(30, 2), 1));
  int n_steps = 0;
  for (; !short_turn->finished(); ++n_steps) Steps(1);
  EXPECT_LE(n_steps, 4);  // two chunks of its own, with one of the other before each
  EXPECT_FALSE(long_turn->finished());
  RunUntilIdle();
  EXPECT_EQ(long_turn->tokens, model_.Continue(Prompt(200, 1), 1));
  EXPECT_EQ(short_turn->tokens, model_.Continue(Prompt(30, 2), 1));
}

TEST_F(SchedulerTest, ShortPromptsShareOneChunk) {
  const auto a = Submit(Greedy(Prompt(5, 1), 1));
  const auto b = Submit(Greedy(Prompt(11, 2), 1));
  Steps(1);
  EXPECT_TRUE(a->finished());
  EXPECT_TRUE(b->finished());
}

TEST_F(SchedulerTest, QueuesWhatFindsNoSlotInOrderAndTellsThePosition) {
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (uint32_t i = 0; i < 5; ++i) sinks.push_back(Submit(Greedy(Prompt(4, i), 3 + i)));
  Steps(1);
  EXPECT_EQ(scheduler_.Snapshot().slots_busy, 2u);
  EXPECT_EQ(scheduler_.Snapshot().queued, 3u);
  EXPECT_THAT(States(),
              ElementsAre(Pair(1, State::kDecode), Pair(2, State::kDecode), Pair(3, State::kQueued),
                          Pair(4, State::kQueued), Pair(5, State::kQueued)));
  RunUntilIdle();
  EXPECT_THAT(sinks[0]->positions, IsEmpty());
  EXPECT_THAT(sinks[2]->positions, ElementsAre(0));
  EXPECT_THAT(sinks[3]->positions, ElementsAre(1, 0));
  EXPECT_THAT(sinks[4]->positions, ElementsAre(2, 1, 0));
  for (uint32_t i = 0; i < 5; ++i)
    EXPECT_EQ(sinks[i]->tokens, model_.Continue(Prompt(4, i), 3 + i)) << "turn " << i;
}

TEST_F(SchedulerTest, ActivityTellsWhoRunsWhoWaitsAndHowFullTheCacheIs) {
  const auto activity = [this] {
    const ModelActivity now = scheduler_.activity();
    return std::tuple(now.running, now.waiting, now.kv_usage);
  };
  EXPECT_EQ(activity(), std::tuple(0u, 0u, 0.0));
  for (uint32_t i = 0; i < 5; ++i) Submit(Greedy(Prompt(4, i), 3));
  EXPECT_EQ(activity(), std::tuple(0u, 5u, 0.0));
  Steps(1);
  EXPECT_EQ(activity(), std::tuple(2u, 3u, 2.0 / 64));
  RunUntilIdle();
  EXPECT_EQ(activity(), std::tuple(0u, 0u, 5.0 / 64));  // conversations keep theirs
  scheduler_.Close(1);
  EXPECT_EQ(activity(), std::tuple(0u, 0u, 4.0 / 64));
  Submit(Greedy(Prompt(4), 100));
  Steps(1);
  scheduler_.EndAll(Unavailable("over"));
  EXPECT_EQ(activity(), std::tuple(0u, 0u, 0.0));
}

TEST_F(SchedulerTest, RefusesMoreThanTheQueueHolds) {
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (uint32_t i = 0; i < 6; ++i) sinks.push_back(Submit(Greedy(Prompt(4, i), 2)));
  const Status full = Refused(Open(), Greedy(Prompt(4), 2));
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(full.reason(), "QUEUE_FULL");
  Steps(1);  // two run now, four wait
  EXPECT_EQ(Refused(Open(), Greedy(Prompt(4), 2)).reason(), "QUEUE_FULL");
  Steps(1);  // the two are done
  sinks.push_back(Submit(Greedy(Prompt(4, 9), 2)));
  RunUntilIdle();
  for (const auto& sink : sinks) EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
}

TEST_F(SchedulerTest, AFullQueueIsToldBeforeAGrammarIsCompiled) {
  for (uint32_t i = 0; i < 6; ++i) Submit(Greedy(Prompt(4, i), 5));
  GenerateRequest request = Greedy(Prompt(4), 5);
  request.constraint = {.text = "no grammar"};
  EXPECT_EQ(Refused(Open(), request).reason(), "QUEUE_FULL");
  RunUntilIdle();
  EXPECT_EQ(Refused(Open(), request).reason(), "GRAMMAR_INVALID");
}

TEST_F(SchedulerTest, ACancelledTurnFreesItsSlotAtOnceAndEndsBeforeTheNextStep) {
  const SessionId session = Open();
  const auto cancelled = Submit(session, Greedy(Prompt(4, 1), 0));
  const auto other = Submit(Greedy(Prompt(4, 2), 50));
  const auto waiting = Submit(Greedy(Prompt(4, 3), 1));
  Steps(3);
  scheduler_.Cancel(session);
  EXPECT_EQ(scheduler_.Snapshot().slots_busy, 1u);
  EXPECT_EQ(States().at(session), State::kIdle);
  EXPECT_FALSE(cancelled->finished());  // sinks are called by the executor only
  Steps(1);
  EXPECT_TRUE(cancelled->finished());
  EXPECT_TRUE(cancelled->status.ok());
  EXPECT_EQ(cancelled->reason, FinishReason::kCancelled);
  EXPECT_EQ(cancelled->tokens.size(), 3u);
  EXPECT_TRUE(waiting->finished());  // it took the slot in the same step
  RunUntilIdle();
  EXPECT_EQ(other->tokens, model_.Continue(Prompt(4, 2), 50));
  EXPECT_EQ(cancelled->n_after_finish, 0);
}

TEST_F(SchedulerTest, ATurnCancelledDuringAStepEndsBeforeTheNext) {
  const SessionId session = Open();
  const auto sink = Submit(session, Greedy(Prompt(4), 0));
  Submit(Greedy(Prompt(4, 1), 5));  // which the step goes on for
  model_.during_step = [&] {
    if (model_.steps().size() == 2) scheduler_.Cancel(session);
  };
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kCancelled);
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(4), 3));
}

TEST_F(SchedulerTest, AStepThatNobodyWaitsForIsGivenUpAndLosesNothing) {
  const SessionId session = Open();
  const auto sink = Submit(session, Greedy(Prompt(60), 5));
  model_.during_step = [&] {
    if (model_.steps().size() == 2) scheduler_.Cancel(session);
  };
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kCancelled);
  EXPECT_EQ(model_.steps().size(), 2u);
  model_.during_step = nullptr;
  const auto again = Submit(session, Greedy(Prompt(3, 1), 5));
  RunUntilIdle();
  std::vector<TokenId> sequence = Prompt(60);
  const std::vector<TokenId> more = Prompt(3, 1);
  sequence.insert(sequence.end(), more.begin(), more.end());
  EXPECT_EQ(again->tokens, model_.Continue(sequence, 5));
  EXPECT_EQ(again->usage.cached_tokens, 32u) << "two steps of 16";
}

class SlowSchedulerTest : public SchedulerTest {
 protected:
  static SchedulerOptions Options() {
    SchedulerOptions options = testing::SmallOptions();
    options.prefill_chunk = 128;
    return options;
  }
  SlowSchedulerTest() : SchedulerTest(Options()) {}
};

// A token of a prompt takes 4 ms here, or more: 128 of them would hold a stream up for half a
// second.
TEST_F(SlowSchedulerTest, AChunkIsSmallerWhereItWouldHoldStreamsUp) {
  model_.during_step = [&] { std::this_thread::sleep_for(std::chrono::milliseconds(512)); };
  Submit(Greedy(Prompt(129), 1));
  Steps(1);
  EXPECT_EQ(model_.steps().back().at(0).n_tokens, 128u) << "nobody is held up";
  model_.during_step = nullptr;
  RunUntilIdle();
  const auto stream = Submit(Greedy(Prompt(3, 1), 100));
  Steps(2);
  const auto prompt = Submit(Greedy(Prompt(200, 2), 1));
  Steps(1);
  ASSERT_EQ(model_.steps().back().size(), 2u);
  EXPECT_EQ(model_.steps().back().at(1).n_tokens, 32u);
  RunUntilIdle();
  EXPECT_EQ(stream->tokens, model_.Continue(Prompt(3, 1), 100));
  EXPECT_TRUE(prompt->finished());
}

class LongChunkTest : public SchedulerTest {
 protected:
  static SchedulerOptions Options() {
    SchedulerOptions options = testing::SmallOptions();
    options.prefill_chunk = 512;
    options.limits.context_length = 1024;
    options.kv_groups = {{.blocks_per_sequence = 128, .n_blocks = 2 * 128}};
    return options;
  }
  LongChunkTest() : SchedulerTest(Options()) {}

  uint32_t NextChunk() {
    Steps(1);
    return model_.steps().back().at(0).n_tokens;
  }
};

TEST_F(LongChunkTest, AChunkIsAsLongAsAStepMayLast) {
  Submit(Greedy(Prompt(900), 1));
  EXPECT_EQ(NextChunk(), 128u) << "how long a token takes is not known yet";
  EXPECT_EQ(NextChunk(), 512u);
  RunUntilIdle();
  // 4 ms a token, of which the mean with what was known is 2 ms: half a second holds 250 tokens.
  model_.during_step = [] { std::this_thread::sleep_for(std::chrono::milliseconds(128)); };
  Submit(Greedy(Prompt(32, 1), 1));
  RunUntilIdle();
  model_.during_step = nullptr;
  Submit(Greedy(Prompt(900, 2), 1));
  EXPECT_THAT(NextChunk(), AllOf(Ge(128u), Le(224u)));
}

TEST_F(SchedulerTest, ATurnCancelledInTheQueueLeavesTheSessionAsItWas) {
  const auto a = Submit(Greedy(Prompt(4, 1), 5));
  const auto b = Submit(Greedy(Prompt(4, 2), 5));
  const SessionId session = Open();
  const auto waiting = Submit(session, Greedy(Prompt(4, 3), 5));
  Steps(1);
  scheduler_.Cancel(session);
  RunUntilIdle();
  EXPECT_EQ(waiting->reason, FinishReason::kCancelled);
  EXPECT_EQ(waiting->usage.context_used, 0u);
  const auto again = Submit(session, Greedy(Prompt(6, 4), 2));
  RunUntilIdle();
  EXPECT_EQ(again->tokens, model_.Continue(Prompt(6, 4), 2));
}

TEST_F(SchedulerTest, ClosingASessionEndsItsTurnAndGivesItsBlocksBack) {
  // Sessions that fill the cache again and again: a leaked block would be missed.
  for (uint32_t i = 0; i < 20; ++i) {
    const SessionId session = Open();
    const auto sink = Submit(session, Greedy(Prompt(200, i), 0));
    Steps(14);
    scheduler_.Close(session);
    EXPECT_THAT(States(), IsEmpty());
    EXPECT_EQ(scheduler_.Snapshot().slots_busy, 0u);
    EXPECT_EQ(Refused(session, Greedy(Prompt(1), 1)).reason(), "SESSION_NOT_FOUND");
    Steps(1);
    EXPECT_EQ(sink->reason, FinishReason::kCancelled);
    EXPECT_FALSE(scheduler_.HasWork());
  }
  const SessionId a = Open(), b = Open();
  const auto first = Submit(a, Greedy(Prompt(250, 1), 0));
  const auto second = Submit(b, Greedy(Prompt(250, 2), 0));
  RunUntilIdle();
  EXPECT_EQ(first->reason, FinishReason::kContextFull);
  EXPECT_EQ(second->reason, FinishReason::kContextFull);
  scheduler_.Close(a);
  scheduler_.Close(b);
  EXPECT_THAT(States(), IsEmpty());
}

TEST_F(SchedulerTest, ContinuingASessionEqualsOneLongPrompt) {
  const SessionId session = Open();
  std::vector<TokenId> sequence;
  for (uint32_t turn = 0; turn < 4; ++turn) {
    const uint32_t n_cached = turn == 0 ? 0 : static_cast<uint32_t>(sequence.size()) - 1;
    model_.ForgetSteps();
    const std::vector<TokenId> prompt = Prompt(10 + turn, turn);
    const auto sink = Submit(session, Greedy(prompt, 6));
    RunUntilIdle();
    sequence.insert(sequence.end(), prompt.begin(), prompt.end());
    EXPECT_EQ(sink->tokens, model_.Continue(sequence, 6)) << "turn " << turn;
    // The token chosen last was never computed, everything before it was.
    EXPECT_EQ(sink->usage.cached_tokens, n_cached);
    EXPECT_EQ(model_.steps().front().front().first_position, n_cached);
    sequence.insert(sequence.end(), sink->tokens.begin(), sink->tokens.end());
    EXPECT_EQ(sink->usage.context_used, sequence.size());
  }
}

TEST_F(SchedulerTest, ASinkMayBeFollowedByTheNextTurnAsSoonAsItFinished) {
  const SessionId session = Open();
  const auto first = Submit(session, Greedy(Prompt(4), 2));
  std::shared_ptr<RecordingSink> second;
  // A real sink must not call the scheduler; here it stands for another thread that is as fast.
  first->on_finished = [&] { second = Submit(session, Greedy(Prompt(4, 1), 2)); };
  RunUntilIdle();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->finished());
}

TEST_F(SchedulerTest, IdleSessionsKeepTheirBlocksUntilARunningOneNeedsThem) {
  const SessionId oldest = Open(), newer = Open();
  const auto a = Submit(oldest, Greedy(Prompt(120, 1), 4));
  RunUntilIdle();
  const auto b = Submit(newer, Greedy(Prompt(120, 2), 4));
  RunUntilIdle();
  EXPECT_THAT(States(), ElementsAre(Pair(oldest, State::kIdle), Pair(newer, State::kIdle)));
  // 64 blocks of 8; the two hold 16 each, so 240 + 4 tokens fit beside them and a third does not.
  const auto c = Submit(Greedy(Prompt(240, 3), 4));
  RunUntilIdle();
  EXPECT_EQ(States().size(), 3u);
  const auto d = Submit(Greedy(Prompt(60, 4), 4));
  RunUntilIdle();
  EXPECT_FALSE(States().contains(oldest));
  EXPECT_TRUE(States().contains(newer));
  // The session without blocks answers as if nothing had happened. Its first 9 are still there: the
  // others took 2 that were free and the 6 last ones of those that it lost.
  std::vector<TokenId> sequence = Prompt(120, 1);
  sequence.insert(sequence.end(), a->tokens.begin(), a->tokens.end());
  const std::vector<TokenId> more = Prompt(5, 5);
  sequence.insert(sequence.end(), more.begin(), more.end());
  const auto again = Submit(oldest, Greedy(more, 4));
  RunUntilIdle();
  EXPECT_EQ(again->tokens, model_.Continue(sequence, 4));
  EXPECT_EQ(again->usage.cached_tokens, 72u);
  EXPECT_EQ(again->progress.back(), std::pair(129u - 72u, 129u - 72u));
}

TEST_F(SchedulerTest, GeneratesUntilTheContextIsFullAndNoFurther) {
  const SessionId session = Open();
  const auto sink = Submit(session, Greedy(Prompt(250), 0));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kContextFull);
  EXPECT_EQ(sink->tokens.size(), 6u);
  EXPECT_EQ(sink->usage.context_used, 256u);
  const Status status = Refused(session, Greedy(Prompt(1), 1));
  EXPECT_EQ(status.code(), StatusCode::kOutOfRange);
  EXPECT_EQ(status.reason(), "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(status.details(), ElementsAre(Pair("promptTokens", "1"), Pair("sessionTokens", "256"),
                                            Pair("contextTokens", "256")));
}

TEST_F(SchedulerTest, APromptNeedsRoomForOneTokenMore) {
  EXPECT_EQ(Refused(Open(), Greedy(Prompt(256), 1)).reason(), "CONTEXT_LENGTH_EXCEEDED");
  const auto sink = Submit(Greedy(Prompt(255), 0));
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(255), 1));
  EXPECT_EQ(sink->reason, FinishReason::kContextFull);
}

TEST_F(SchedulerTest, ASessionRunsOneTurnAtATime) {
  const SessionId session = Open();
  const auto sink = Submit(session, Greedy(Prompt(4), 3));
  const Status busy = Refused(session, Greedy(Prompt(4), 3));
  EXPECT_EQ(busy.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(busy.reason(), "SESSION_BUSY");
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(4), 3));
}

TEST_F(SchedulerTest, EndingAllTellsEveryTurnAndForgetsEverySession) {
  const SessionId session = Open();
  const auto running = Submit(session, Greedy(Prompt(4), 50));
  const auto other = Submit(Greedy(Prompt(4, 1), 50));
  const auto queued = Submit(Greedy(Prompt(4, 2), 50));
  Steps(2);
  scheduler_.EndAll(Unavailable("the server is shutting down").WithReason("SHUTTING_DOWN"));
  for (const auto& sink : {running, other, queued}) {
    EXPECT_TRUE(sink->finished());
    EXPECT_EQ(sink->status.reason(), "SHUTTING_DOWN");
  }
  EXPECT_FALSE(scheduler_.HasWork());
  EXPECT_EQ(Refused(session, Greedy(Prompt(1), 1)).reason(), "SESSION_NOT_FOUND");
  EXPECT_EQ(scheduler_.Open(99).reason(), "MODEL_NOT_LOADED");
}

TEST_F(SchedulerTest, CallsForUnknownSessionsAreRefusedOrIgnored) {
  EXPECT_EQ(Refused(77, Greedy(Prompt(1), 1)).code(), StatusCode::kNotFound);
  EXPECT_EQ(scheduler_.Tokens(77).status().reason(), "SESSION_NOT_FOUND");
  scheduler_.Cancel(77);
  scheduler_.Close(77);
  const SessionId idle = Open();
  EXPECT_TRUE(scheduler_.Tokens(idle)->empty());
  scheduler_.Cancel(idle);
  Steps(1);
  EXPECT_FALSE(scheduler_.HasWork());
  EXPECT_THAT(model_.steps(), IsEmpty());
}

// Blocks of 8 and steps of up to 16 tokens: a window of 12 needs (12 + 16 - 2) / 8, rounded up, and
// one block more.
SchedulerOptions WindowedOptions() {
  SchedulerOptions options = testing::SmallOptions();
  options.kv_groups.push_back({.window = 12, .blocks_per_sequence = 5, .n_blocks = 2 * 5});
  return options;
}

class WindowedSchedulerTest : public testing::SchedulerTest {
 protected:
  WindowedSchedulerTest() : SchedulerTest(WindowedOptions()) {}
};

TEST_F(WindowedSchedulerTest, ARingKeepsWhatItsWindowSees) {
  const auto a = Submit(Greedy(Prompt(150, 1), 40));
  const auto b = Submit(Greedy(Prompt(7, 2), 90));
  RunUntilIdle();
  EXPECT_EQ(a->tokens, model_.Continue(Prompt(150, 1), 40));
  EXPECT_EQ(b->tokens, model_.Continue(Prompt(7, 2), 90));
}

TEST_F(WindowedSchedulerTest, ContinuingASessionFindsItsWindow) {
  const SessionId session = Open();
  std::vector<TokenId> sequence;
  for (uint32_t turn = 0; turn < 6; ++turn) {
    const std::vector<TokenId> prompt = Prompt(5 + 13 * (turn % 3), turn);
    sequence.insert(sequence.end(), prompt.begin(), prompt.end());
    const auto sink = Submit(session, Greedy(prompt, 9));
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(sequence, 9)) << "turn " << turn;
    sequence.insert(sequence.end(), sink->tokens.begin(), sink->tokens.end());
  }
}

// The rings are for two sequences, while the blocks of all positions would hold more idle ones.
TEST_F(WindowedSchedulerTest, IdleSessionsLoseTheirBlocksWhereARingIsMissing) {
  std::vector<SessionId> sessions;
  std::vector<std::vector<TokenId>> sequences;
  for (uint32_t i = 0; i < 5; ++i) {
    sessions.push_back(Open());
    sequences.push_back(Prompt(60, i));
    const auto sink = Submit(sessions[i], Greedy(sequences[i], 4));
    RunUntilIdle();
    sequences[i].insert(sequences[i].end(), sink->tokens.begin(), sink->tokens.end());
  }
  EXPECT_EQ(States().size(), 2u);
  for (uint32_t i = 0; i < 5; ++i) {
    const std::vector<TokenId> more = Prompt(3, 9 + i);
    sequences[i].insert(sequences[i].end(), more.begin(), more.end());
    const auto sink = Submit(sessions[i], Greedy(more, 4));
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(sequences[i], 4)) << "session " << i;
    EXPECT_EQ(sink->usage.cached_tokens, 0u);
  }
}

}  // namespace
}  // namespace forge
