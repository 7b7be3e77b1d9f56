#include "engine/runtime/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "tests/engine/runtime/fake_model.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::FakeModel;
using testing::Greedy;
using namespace std::chrono_literals;

constexpr auto kLimit = 20s;  // longer than anything here takes, also under sanitizers

SchedulerOptions Options() {
  return {.limits = {.tokenizer = &testing::TestTokenizer(),
                     .n_vocab = testing::TinyVocabularySize(testing::TinyVocabulary::kBpe),
                     .context_length = 4096},
          .max_sequences = 2,
          .prefill_chunk = 16,
          .max_queued_turns = 4,
          .kv_groups = {{.blocks_per_sequence = 256, .n_blocks = 2 * 256}},
          .block_tokens = 16};
}

// Counts tokens on the executor's thread and tells the test's thread how the turn ended.
class CountingSink final : public GenerationSink {
 public:
  void OnQueued(uint32_t) override {}
  void OnPromptProgress(uint32_t, uint32_t) override {}
  void OnToken(TokenEvent) override { ++n_tokens; }
  void OnFinished(const Status& status, FinishReason, std::string, const GenerateUsage&) override {
    finished.set_value(status);
  }
  std::atomic<int> n_tokens = 0;
  std::promise<Status> finished;
};

struct FakeLoaded {
  explicit FakeLoaded(Executor& executor)
      : model(Options()),
        scheduler(
            Options(), model, [&executor] { executor.Wake(); }, [this] { ++n_progress; }) {
    executor.Add(scheduler);
  }
  std::shared_ptr<CountingSink> Submit(SessionId session, uint32_t max_tokens) {
    auto sink = std::make_shared<CountingSink>();
    EXPECT_TRUE(scheduler.Open(session).ok());
    EXPECT_TRUE(scheduler.Submit(session, Greedy({1, 2, 3}, max_tokens), sink).ok());
    return sink;
  }
  std::atomic<int> n_progress = 0;
  FakeModel model;
  Scheduler scheduler;
};

TEST(ExecutorTest, RunsModelsInTurn) {
  // Each model's tokens, in the order in which their steps ran.
  std::vector<char> order;
  std::shared_ptr<CountingSink> a, b;
  {
    Executor executor;
    FakeLoaded first(executor), second(executor);
    std::promise<void> both_submitted;
    std::shared_future<void> start = both_submitted.get_future().share();
    first.model.during_step = [&] {
      start.wait();
      order.push_back('a');
    };
    second.model.during_step = [&] { order.push_back('b'); };
    a = first.Submit(1, 50);
    b = second.Submit(2, 50);
    both_submitted.set_value();
    ASSERT_EQ(a->finished.get_future().wait_for(kLimit), std::future_status::ready);
    ASSERT_EQ(b->finished.get_future().wait_for(kLimit), std::future_status::ready);
    executor.Remove(first.scheduler, Cancelled("test"));
    executor.Remove(second.scheduler, Cancelled("test"));
  }
  ASSERT_EQ(order.size(), 100u);
  // The first model may have a step before the second has work.
  for (size_t i = 2; i + 2 < order.size(); ++i) EXPECT_NE(order[i], order[i + 1]) << "step " << i;
}

TEST(ExecutorTest, RemovingAModelWaitsForItsStepAndEndsItsTurns) {
  Executor executor;
  FakeLoaded loaded(executor);
  std::atomic<bool> in_step = false;
  std::promise<void> entered;
  loaded.model.during_step = [&] {
    if (loaded.model.steps().empty()) entered.set_value();
    in_step = true;
    std::this_thread::sleep_for(5ms);
    in_step = false;
  };
  const auto sink = loaded.Submit(1, 0);
  entered.get_future().wait();
  executor.Remove(loaded.scheduler, Cancelled("unloaded").WithReason("MODEL_NOT_LOADED"));
  EXPECT_FALSE(in_step);
  std::future<Status> finished = sink->finished.get_future();
  ASSERT_EQ(finished.wait_for(0s), std::future_status::ready);
  EXPECT_EQ(finished.get().reason(), "MODEL_NOT_LOADED");
}

TEST(ExecutorTest, ItsEndTellsEveryTurnThatTheServerShutsDown) {
  auto executor = std::make_unique<Executor>();
  FakeLoaded loaded(*executor);
  const auto a = loaded.Submit(1, 0), b = loaded.Submit(2, 0), queued = loaded.Submit(3, 0);
  executor.reset();
  for (const auto& sink : {a, b, queued}) {
    std::future<Status> finished = sink->finished.get_future();
    ASSERT_EQ(finished.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(finished.get().reason(), "SHUTTING_DOWN");
  }
}

// Nobody waits for what the step of a model that goes would come to.
TEST(ExecutorTest, ARemovalGivesUpTheRunningStep) {
  Executor executor;
  FakeLoaded loaded(executor);
  std::promise<void> entered, leave;
  std::shared_future<void> released = leave.get_future().share();
  loaded.model.during_step = [&] {
    entered.set_value();
    released.wait();
  };
  const auto sink = loaded.Submit(1, 3);
  entered.get_future().wait();
  std::thread removal([&] { executor.Remove(loaded.scheduler, Cancelled("test")); });
  std::this_thread::sleep_for(50ms);  // it waits for the step by now
  leave.set_value();
  removal.join();
  EXPECT_TRUE(loaded.model.steps().empty());
  EXPECT_EQ(loaded.n_progress, 1);
  EXPECT_EQ(sink->finished.get_future().get().code(), StatusCode::kCancelled);
}

TEST(ExecutorTest, ReportsProgressWhileBusyAndRestsWhileIdle) {
  Executor executor;
  FakeLoaded loaded(executor);
  EXPECT_FALSE(executor.Progress().busy);
  std::promise<void> entered, leave;
  std::shared_future<void> released = leave.get_future().share();
  loaded.model.during_step = [&] {
    if (!loaded.model.steps().empty()) return;
    entered.set_value();
    released.wait();
  };
  const auto sink = loaded.Submit(1, 3);
  entered.get_future().wait();
  std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(executor.Progress().busy);
  EXPECT_GE(executor.Progress().since_progress, 20ms);  // a step that hangs shows
  const auto before = executor.Progress().since_progress;
  executor.NoteProgress();
  EXPECT_LT(executor.Progress().since_progress, before);  // and one that is only long does not
  leave.set_value();
  ASSERT_EQ(sink->finished.get_future().wait_for(kLimit), std::future_status::ready);
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (executor.Progress().busy && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  const EngineProgress idle = executor.Progress();
  EXPECT_FALSE(idle.busy);
  EXPECT_EQ(idle.since_progress, 0ns);
  EXPECT_EQ(idle.steps, 3u);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(executor.Progress().steps, 3u);
  executor.Remove(loaded.scheduler, Cancelled("test"));
}

}  // namespace
}  // namespace forge
