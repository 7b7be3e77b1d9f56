#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/engine/runtime/scheduler_fixture.h"

// Steps that fail, and what is left after them.
namespace forge {
namespace {

using testing::Greedy;
using testing::Prompt;
using testing::SchedulerTest;

TEST_F(SchedulerTest, ALostDeviceEndsEveryTurnAndNothingElse) {
  const SessionId session = Open();
  const auto before = Submit(session, Greedy(Prompt(4), 3));
  RunUntilIdle();
  const auto a = Submit(session, Greedy(Prompt(4, 1), 50));
  const auto b = Submit(Greedy(Prompt(4, 2), 50));
  const auto queued = Submit(Greedy(Prompt(4, 3), 50));
  Steps(2);
  model_.failure = Unavailable("the device is gone").WithReason("DEVICE_LOST");
  Steps(1);
  for (const auto& sink : {a, b, queued}) {
    EXPECT_TRUE(sink->finished());
    EXPECT_EQ(sink->status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(sink->status.reason(), "DEVICE_LOST");
  }
  EXPECT_FALSE(scheduler_.HasWork());
  model_.failure.reset();
  std::vector<TokenId> sequence = Prompt(4);
  for (const std::vector<TokenId>& part : {before->tokens, Prompt(4, 1), a->tokens, Prompt(2, 6)})
    sequence.insert(sequence.end(), part.begin(), part.end());
  const auto after = Submit(session, Greedy(Prompt(2, 6), 4));
  RunUntilIdle();
  EXPECT_EQ(after->tokens, model_.Continue(sequence, 4));
}

TEST_F(SchedulerTest, AFailedStepEndsTheTurnsThatTookPartInIt) {
  const auto a = Submit(Greedy(Prompt(4, 1), 50));
  Steps(1);
  const auto b = Submit(Greedy(Prompt(20, 2), 3));
  const auto waiting = Submit(Greedy(Prompt(4, 3), 3));
  model_.failure = Internal("a kernel does not start").WithReason("INTERNAL");
  Steps(1);
  EXPECT_EQ(a->status.reason(), "INTERNAL");
  EXPECT_EQ(b->status.reason(), "INTERNAL");
  EXPECT_FALSE(waiting->finished());
  model_.failure.reset();
  RunUntilIdle();
  EXPECT_EQ(waiting->tokens, model_.Continue(Prompt(4, 3), 3));
}

TEST_F(SchedulerTest, APromptThatHadNoPartInAFailedStepGoesOn) {
  const auto first = Submit(Greedy(Prompt(60, 1), 3));
  const auto second = Submit(Greedy(Prompt(60, 2), 3));
  Steps(2);  // a chunk of each
  model_.failure = Internal("a kernel does not start");
  Steps(1);
  model_.failure.reset();
  EXPECT_EQ(first->status.code(), StatusCode::kInternal);
  RunUntilIdle();
  EXPECT_EQ(second->tokens, model_.Continue(Prompt(60, 2), 3));
}

TEST_F(SchedulerTest, WhereTheHostsMemoryEndsInAStepItsTurnsEnd) {
  const auto a = Submit(Greedy(Prompt(4, 1), 50));
  const auto b = Submit(Greedy(Prompt(4, 2), 50));
  const auto waiting = Submit(Greedy(Prompt(4, 3), 3));
  Steps(2);
  model_.during_step = [] { throw std::bad_alloc(); };
  Steps(1);
  model_.during_step = nullptr;
  Steps(1);  // which tells them, and admits the one that waits
  for (const auto& sink : {a, b}) {
    EXPECT_TRUE(sink->finished());
    EXPECT_EQ(sink->status.code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(sink->status.reason(), "HOST_MEMORY_EXHAUSTED");
  }
  EXPECT_EQ(scheduler_.Snapshot().slots_busy, 1u);
  RunUntilIdle();
  EXPECT_EQ(waiting->tokens, model_.Continue(Prompt(4, 3), 3));
}

TEST_F(SchedulerTest, AnExceptionInAStepEndsItsTurnsAndSaysWhatItWas) {
  const auto a = Submit(Greedy(Prompt(4, 1), 50));
  Steps(2);
  model_.during_step = [] { throw std::length_error("too long"); };
  Steps(1);
  model_.during_step = nullptr;
  Steps(1);
  ASSERT_TRUE(a->finished());
  EXPECT_EQ(a->status.code(), StatusCode::kInternal);
  EXPECT_EQ(a->status.message(), "unexpected fault: too long");
  const auto next = Submit(Greedy(Prompt(4, 3), 3));
  RunUntilIdle();
  EXPECT_EQ(next->tokens, model_.Continue(Prompt(4, 3), 3));
}

TEST_F(SchedulerTest, ASinkThatAlwaysThrowsIsToldOfItsEndTwice) {
  class BrokenSink final : public GenerationSink {
   public:
    void OnQueued(uint32_t) override {}
    void OnPromptProgress(uint32_t, uint32_t) override {}
    void OnToken(TokenEvent) override { throw std::length_error("too long"); }
    void OnFinished(const Status& status, FinishReason, std::string,
                    const GenerateUsage&) override {
      told.push_back(status.code());
      throw std::length_error("too long");
    }
    std::vector<StatusCode> told;
  };
  const auto broken = std::make_shared<BrokenSink>();
  ASSERT_TRUE(scheduler_.Submit(Open(), Greedy(Prompt(4, 1), 50), broken).ok());
  const auto other = Submit(Greedy(Prompt(4, 2), 5));
  RunUntilIdle();
  EXPECT_EQ(broken->told, std::vector<StatusCode>(2, StatusCode::kInternal));
  EXPECT_EQ(other->tokens, model_.Continue(Prompt(4, 2), 5));
}

TEST_F(SchedulerTest, ASinkWithoutMemoryEndsItsTurnAlone) {
  class FullSink final : public GenerationSink {
   public:
    void OnQueued(uint32_t) override {}
    void OnPromptProgress(uint32_t, uint32_t) override {}
    void OnToken(TokenEvent) override { throw std::bad_alloc(); }
    void OnFinished(const Status& status, FinishReason, std::string,
                    const GenerateUsage&) override {
      if (++n_told < 3) throw std::bad_alloc();
      finished = status;
    }
    std::optional<Status> finished;
    int n_told = 0;
  };
  const auto full = std::make_shared<FullSink>();
  ASSERT_TRUE(scheduler_.Submit(Open(), Greedy(Prompt(4, 1), 50), full).ok());
  const auto other = Submit(Greedy(Prompt(4, 2), 5));
  RunUntilIdle();
  ASSERT_TRUE(full->finished.has_value());
  EXPECT_EQ(full->n_told, 3);
  EXPECT_EQ(full->finished->reason(), "HOST_MEMORY_EXHAUSTED");
  EXPECT_EQ(other->tokens, model_.Continue(Prompt(4, 2), 5));
}

// Finds no memory for one token.
class ForgetfulSink : public testing::RecordingSink {
 public:
  explicit ForgetfulSink(size_t lost) : lost_(lost) {}
  void OnToken(TokenEvent event) override {
    if (tokens.size() != lost_) return RecordingSink::OnToken(std::move(event));
    if (before_loss) before_loss();
    throw std::bad_alloc();
  }

  std::function<void()> before_loss;

 private:
  const size_t lost_;
};

TEST_F(SchedulerTest, ATurnWhoseLastTokenIsLostSaysSo) {
  const auto sink = std::make_shared<ForgetfulSink>(2);
  const SessionId session = Open();
  ASSERT_TRUE(scheduler_.Submit(session, Greedy(Prompt(4), 3), sink).ok());
  RunUntilIdle();
  ASSERT_TRUE(sink->finished());
  EXPECT_EQ(sink->status.reason(), "HOST_MEMORY_EXHAUSTED");
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(4), 2));
  const auto next = Submit(session, Greedy(Prompt(2, 1), 3));
  RunUntilIdle();
  EXPECT_TRUE(next->status.ok()) << next->status.ToString();
}

// Nor is there an answer that the conversation could go on from.
TEST_F(SchedulerTest, ATurnThatLostATokenHasNoAnswer) {
  class AnsweredSink final : public ForgetfulSink {
   public:
    using ForgetfulSink::ForgetfulSink;
    void OnAnswer(ChatAnswer, TextKind) override { ++n_answers; }
    int n_answers = 0;
  };
  for (const size_t lost : {size_t{2}, size_t{3}}) {  // of three tokens: the last, and none
    const auto sink = std::make_shared<AnsweredSink>(lost);
    GenerateRequest request = Greedy(Prompt(4), 3);
    request.chat.emplace();
    ASSERT_TRUE(scheduler_.Submit(Open(), request, sink).ok());
    RunUntilIdle();
    EXPECT_EQ(sink->status.ok(), lost == 3);
    EXPECT_EQ(sink->n_answers, lost == 3 ? 1 : 0);
  }
}

// Between the end of a turn and what is told of it the session may have got another one.
TEST_F(SchedulerTest, ALostTokenIsNotThatOfTheNextTurn) {
  const auto sink = std::make_shared<ForgetfulSink>(2);
  const SessionId session = Open();
  std::shared_ptr<testing::RecordingSink> next;
  sink->before_loss = [&] { next = Submit(session, Greedy(Prompt(2, 1), 5)); };
  ASSERT_TRUE(scheduler_.Submit(session, Greedy(Prompt(4), 3), sink).ok());
  RunUntilIdle();
  EXPECT_EQ(sink->status.reason(), "HOST_MEMORY_EXHAUSTED");
  ASSERT_NE(next, nullptr);
  EXPECT_TRUE(next->status.ok()) << next->status.ToString();
  EXPECT_EQ(next->tokens.size(), 5u);
}

}  // namespace
}  // namespace forge
