// Models with recurrent layers, whose state of a sequence is that after its last token only.

#include <gtest/gtest.h>

#include "tests/engine/runtime/scheduler_fixture.h"

namespace forge {
namespace {

using testing::Greedy;
using testing::Joined;
using testing::Prompt;
using testing::RecordingSink;
using testing::SchedulerTest;

// Blocks have 8 positions, chunks 16.
SchedulerOptions RecurrentOptions(uint32_t n_state_slots) {
  SchedulerOptions options = testing::SmallOptions();
  options.n_state_slots = n_state_slots;
  return options;
}

class RecurrentSchedulerTest : public SchedulerTest {
 protected:
  explicit RecurrentSchedulerTest(const SchedulerOptions& options = RecurrentOptions(6))
      : SchedulerTest(options) {}

  // A turn that keeps 41 tokens of a session that began with Prompt(60).
  std::shared_ptr<RecordingSink> GoBack(SessionId session) {
    GenerateRequest request = Greedy(Prompt(4, 2), 5);
    request.keep_tokens = 41;
    std::vector<TokenId> kept = Prompt(60);
    kept.resize(41);
    model_.ForgetSteps();
    const auto sink = Submit(session, request);
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(Joined(kept, Prompt(4, 2)), 5));
    return sink;
  }
  uint32_t n_computed() const {
    uint32_t n_tokens = 0;
    for (const auto& step : model_.steps())
      for (const auto& part : step) n_tokens += part.n_tokens;
    return n_tokens;
  }
};

TEST_F(RecurrentSchedulerTest, ASessionGoesOnFromItsState) {
  const SessionId session = Open();
  const auto first = Submit(session, Greedy(Prompt(37), 6));
  RunUntilIdle();
  EXPECT_EQ(first->tokens, model_.Continue(Prompt(37), 6));
  model_.ForgetSteps();
  const auto second = Submit(session, Greedy(Prompt(5, 1), 6));
  RunUntilIdle();
  EXPECT_EQ(second->tokens,
            model_.Continue(Joined(Joined(Prompt(37), first->tokens), Prompt(5, 1)), 6));
  EXPECT_EQ(n_computed(), 1u + 5 + 5) << "the last token of the first turn, the prompt, the answer";
}

TEST_F(RecurrentSchedulerTest, SessionsBesideEachOtherKeepTheirStatesApart) {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (uint32_t salt = 0; salt < 4; ++salt) {
    prompts.push_back(Prompt(20 + 9 * salt, salt));
    sinks.push_back(Submit(Greedy(prompts.back(), 12)));
  }
  RunUntilIdle();
  for (size_t i = 0; i < sinks.size(); ++i)
    EXPECT_EQ(sinks[i]->tokens, model_.Continue(prompts[i], 12));
}

// What a model thinks is left out of the next prompt, and so is what its template put behind the
// last message.
TEST_F(RecurrentSchedulerTest, APromptThatBranchesOffALastOneGoesOnFromNearItsEnd) {
  const auto first = Submit(Greedy(Prompt(100), 60));
  RunUntilIdle();
  std::vector<TokenId> next = Prompt(100);
  next.resize(90);
  next = Joined(next, Prompt(20, 5));
  const auto second = Submit(Greedy(next, 4));
  RunUntilIdle();
  EXPECT_EQ(second->tokens, model_.Continue(next, 4));
  EXPECT_EQ(second->usage.cached_tokens, 80u) << "the whole blocks of the first 100 - 16";
}

TEST_F(RecurrentSchedulerTest, AnAnswerIsFoundUpToItsLastWholeBlock) {
  const auto first = Submit(Greedy(Prompt(20), 31));
  RunUntilIdle();
  const std::vector<TokenId> next = Joined(Joined(Prompt(20), first->tokens), Prompt(3, 1));
  const auto second = Submit(Greedy(next, 4));
  RunUntilIdle();
  EXPECT_EQ(second->tokens, model_.Continue(next, 4));
  EXPECT_EQ(second->usage.cached_tokens, 48u) << "of 50 that were computed";
}

TEST_F(RecurrentSchedulerTest, AnAnswerDoesNotPushOutWhatOthersKept) {
  const auto other = Submit(Greedy(Prompt(100, 3), 1));
  RunUntilIdle();
  Submit(Greedy(Prompt(10), 200));
  RunUntilIdle();
  const auto again = Submit(Greedy(Prompt(100, 3), 1));
  RunUntilIdle();
  EXPECT_EQ(again->tokens, other->tokens);
  EXPECT_EQ(again->usage.cached_tokens, 96u) << "the end of the last chunk but one";
}

TEST_F(RecurrentSchedulerTest, GoingBackComputesWhatNoStateIsKeptOf) {
  const SessionId session = Open();
  Submit(session, Greedy(Prompt(60), 3));
  RunUntilIdle();
  GoBack(session);
  EXPECT_EQ(n_computed(), 41u - 32 + 4 + 4) << "the state after the second chunk was kept";
}

TEST_F(RecurrentSchedulerTest, AfterAStepThatWasGivenUpNothingIsTakenForComputed) {
  const SessionId session = Open();
  const auto first = Submit(session, Greedy(Prompt(12), 100));
  Steps(5);
  model_.during_step = [&] { scheduler_.Cancel(session); };
  Steps(1);
  model_.during_step = nullptr;
  RunUntilIdle();
  ASSERT_TRUE(first->finished());
  const std::vector<TokenId> said = scheduler_.Tokens(session).value();
  const auto second = Submit(session, Greedy(Prompt(3, 1), 5));
  RunUntilIdle();
  EXPECT_EQ(second->tokens, model_.Continue(Joined(said, Prompt(3, 1)), 5));
}

TEST_F(RecurrentSchedulerTest, AfterAStepThatFailedNothingIsTakenForComputed) {
  const SessionId session = Open();
  const auto first = Submit(session, Greedy(Prompt(12), 100));
  Steps(5);
  model_.failure = Internal("the step fails");
  Steps(1);
  model_.failure.reset();
  RunUntilIdle();
  EXPECT_EQ(first->status.code(), StatusCode::kInternal);
  const std::vector<TokenId> said = scheduler_.Tokens(session).value();
  const auto second = Submit(session, Greedy(Prompt(3, 1), 5));
  RunUntilIdle();
  EXPECT_EQ(second->tokens, model_.Continue(Joined(said, Prompt(3, 1)), 5));
}

TEST_F(RecurrentSchedulerTest, IdleSessionsLeaveRoomForWhatIsKept) {
  std::vector<SessionId> idle;
  std::vector<std::vector<TokenId>> said;
  for (uint32_t i = 0; i < 6; ++i) {
    idle.push_back(Open());
    const auto sink = Submit(idle.back(), Greedy(Prompt(40, i), 4));
    RunUntilIdle();
    said.push_back(Joined(Prompt(40, i), sink->tokens));
  }
  const auto first = Submit(Greedy(Prompt(100, 7), 1));
  RunUntilIdle();
  const auto again = Submit(Greedy(Prompt(100, 7), 1));
  RunUntilIdle();
  EXPECT_EQ(again->tokens, first->tokens);
  EXPECT_EQ(again->usage.cached_tokens, 96u) << "the end of the last chunk but one";
  for (uint32_t i = 0; i < 6; ++i) {
    const auto sink = Submit(idle[i], Greedy(Prompt(2, 9), 4));
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(Joined(said[i], Prompt(2, 9)), 4));
  }
}

// As few slots as sequences at work need.
class FewStatesTest : public RecurrentSchedulerTest {
 protected:
  FewStatesTest() : RecurrentSchedulerTest(RecurrentOptions(4)) {}
};

TEST_F(FewStatesTest, IdleSessionsGiveTheirsUp) {
  std::vector<SessionId> sessions;
  std::vector<std::vector<TokenId>> said;
  for (uint32_t i = 0; i < 7; ++i) {
    sessions.push_back(Open());
    const auto sink = Submit(sessions.back(), Greedy(Prompt(18, i), 4));
    RunUntilIdle();
    said.push_back(Joined(Prompt(18, i), sink->tokens));
    ASSERT_EQ(sink->tokens, model_.Continue(Prompt(18, i), 4));
  }
  for (uint32_t i = 0; i < 7; ++i) {
    const auto sink = Submit(sessions[i], Greedy(Prompt(2, 9), 4));
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(Joined(said[i], Prompt(2, 9)), 4));
  }
}

class UnsharedStatesTest : public RecurrentSchedulerTest {
 protected:
  static SchedulerOptions Options() {
    SchedulerOptions options = RecurrentOptions(6);
    options.shares_prefixes = false;
    return options;
  }
  UnsharedStatesTest() : RecurrentSchedulerTest(Options()) {}
};

TEST_F(UnsharedStatesTest, NothingIsKeptWherePrefixesAreNotShared) {
  const SessionId session = Open();
  Submit(session, Greedy(Prompt(60), 3));
  RunUntilIdle();
  const auto again = GoBack(session);
  EXPECT_EQ(again->usage.cached_tokens, 0u);
}

}  // namespace
}  // namespace forge
