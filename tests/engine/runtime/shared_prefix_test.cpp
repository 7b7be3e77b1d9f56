// Turns that begin with what another session computed.

#include <gtest/gtest.h>

#include <map>
#include <new>
#include <random>
#include <string>

#include "kernels/cpu/cpu_device.h"
#include "kernels/cpu/cpu_features.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/reading_sinks.h"
#include "tests/engine/runtime/scheduler_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

using testing::Greedy;
using testing::Joined;
using testing::Prompt;
using testing::RecordingSink;
using testing::SchedulerTest;
using testing::SmallOptions;

// Prompt tokens that were computed since the steps were forgotten.
uint32_t Computed(const testing::FakeModel& model) {
  uint32_t n_tokens = 0;
  for (const auto& step : model.steps())
    for (const auto& part : step)
      if (part.n_tokens > 1 || part.wants == StepOutput::kNothing) n_tokens += part.n_tokens;
  return n_tokens;
}

// Blocks have 8 positions.
class SharedPrefixTest : public SchedulerTest {};

TEST_F(SharedPrefixTest, ATurnReadsWhatAnotherSessionComputed) {
  const SessionId first = Open();
  const auto a = Submit(first, Greedy(Prompt(100), 5));
  RunUntilIdle();
  EXPECT_EQ(a->usage.cached_tokens, 0u);
  const std::vector<TokenId> other = Joined(Prompt(100), Prompt(10, 3));
  for (const bool is_gone : {false, true}) {
    if (is_gone) scheduler_.Close(first);
    model_.ForgetSteps();
    const auto b = Submit(Greedy(other, 5));
    RunUntilIdle();
    EXPECT_EQ(b->tokens, model_.Continue(other, 5));
    EXPECT_EQ(b->usage.prompt_tokens, 110u);
    EXPECT_EQ(b->usage.cached_tokens, is_gone ? 104u : 96u)
        << "by now its own session is there, too";
    EXPECT_EQ(b->progress.back(),
              std::pair(b->progress.back().second, 110 - b->usage.cached_tokens));
  }
  // The last token is computed in any case.
  const auto c = Submit(Greedy(Prompt(96), 5));
  RunUntilIdle();
  EXPECT_EQ(c->tokens, model_.Continue(Prompt(96), 5));
  EXPECT_EQ(c->usage.cached_tokens, 88u);
}

TEST_F(SharedPrefixTest, ATurnContinuesWhatAnotherSessionWasAnswered) {
  const auto a = Submit(Greedy(Prompt(20), 30));
  RunUntilIdle();
  const std::vector<TokenId> conversation = Joined(Joined(Prompt(20), a->tokens), Prompt(7, 1));
  const auto b = Submit(Greedy(conversation, 4));
  RunUntilIdle();
  EXPECT_EQ(b->tokens, model_.Continue(conversation, 4));
  EXPECT_EQ(b->usage.cached_tokens, 48u) << "of 49 that were computed";
}

TEST_F(SharedPrefixTest, TurnsThatWaitForOneBeginningComputeItOnce) {
  const std::vector<TokenId> beginning = Prompt(160);
  const std::vector<TokenId> one = Joined(beginning, Prompt(6, 1));
  const std::vector<TokenId> two = Joined(beginning, Prompt(9, 2));
  const auto a = Submit(Greedy(one, 3));
  const auto b = Submit(Greedy(two, 3));
  RunUntilIdle();
  EXPECT_EQ(a->tokens, model_.Continue(one, 3));
  EXPECT_EQ(b->tokens, model_.Continue(two, 3));
  EXPECT_EQ(Computed(model_), 160u + 6 + 9);
  EXPECT_EQ(a->usage.cached_tokens + b->usage.cached_tokens, 160u);
}

TEST_F(SharedPrefixTest, ASessionThatLostItsBlocksFindsWhatIsLeftOfThem) {
  const SessionId session = Open();
  const auto a = Submit(session, Greedy(Prompt(64), 4));
  RunUntilIdle();
  // Two whole contexts of others take all 64 blocks but the few that are left over.
  for (const uint32_t salt : {1u, 2u}) Submit(Greedy(Prompt(230, salt), 4));
  RunUntilIdle();
  const std::vector<TokenId> more = Prompt(5, 7);
  const auto again = Submit(session, Greedy(more, 4));
  RunUntilIdle();
  EXPECT_EQ(again->tokens, model_.Continue(Joined(Joined(Prompt(64), a->tokens), more), 4));
  EXPECT_GT(again->usage.cached_tokens, 0u);
  EXPECT_LT(again->usage.cached_tokens, 64u);
}

TEST_F(SharedPrefixTest, AnotherPromptOfTheSameLengthIsSearchedForAnew) {
  Submit(Greedy(Prompt(100), 5));
  RunUntilIdle();
  const SessionId session = Open();
  const auto given_up = Submit(session, Greedy(Prompt(70, 3), 5));
  model_.during_step = [&] { scheduler_.Cancel(session); };
  Steps(1);
  model_.during_step = nullptr;
  RunUntilIdle();
  ASSERT_EQ(given_up->usage.context_used, 70u);
  GenerateRequest request = Greedy(Prompt(70), 5);
  request.keep_tokens = 0;
  const auto again = Submit(session, request);
  RunUntilIdle();
  EXPECT_EQ(again->tokens, model_.Continue(Prompt(70), 5));
  EXPECT_EQ(again->usage.cached_tokens, 64u);
}

TEST_F(SharedPrefixTest, ReadingsComputeEveryRow) {
  Submit(Greedy(Prompt(50), 5));
  RunUntilIdle();
  model_.ForgetSteps();
  const auto sink = std::make_shared<testing::CollectingScores>();
  ASSERT_TRUE(scheduler_.Score(Open(), {.tokens = Prompt(50)}, sink).ok());
  RunUntilIdle();
  EXPECT_EQ(Computed(model_), 50u);
}

class UnsharedPrefixTest : public SchedulerTest {
 protected:
  static SchedulerOptions Options() {
    SchedulerOptions options = SmallOptions();
    options.shares_prefixes = false;
    return options;
  }
  UnsharedPrefixTest() : SchedulerTest(Options()) {}
};

TEST_F(UnsharedPrefixTest, NothingIsSharedWhereThatIsOff) {
  for (int i = 0; i < 2; ++i) {
    const auto sink = Submit(Greedy(Prompt(100), 5));
    RunUntilIdle();
    EXPECT_EQ(sink->tokens, model_.Continue(Prompt(100), 5));
    EXPECT_EQ(sink->usage.cached_tokens, 0u);
  }
}

// Many sessions with few beginnings, which go on, go back, fail, are cancelled and closed, in less
// memory than they would take: the fake model answers wrongly if one reads a block that is
// another's, or what a wrong guess left.
struct PrefixCase {
  uint32_t window = 0;
  bool has_guesses = false;
  uint32_t n_state_slots = 0;  // of recurrent layers

  std::string name() const {
    return std::to_string(window) + (has_guesses ? "Guessing" : "") +
           (n_state_slots > 0 ? "Slots" + std::to_string(n_state_slots) : "");
  }
};

class ManySharedPrefixesTest : public SchedulerTest,
                               public ::testing::WithParamInterface<PrefixCase> {
 protected:
  struct Running {
    std::vector<TokenId> sequence;  // with the prompt
    std::shared_ptr<RecordingSink> sink;
  };

  static SchedulerOptions Options() {
    SchedulerOptions options = SmallOptions();
    options.max_sequences = 3;
    options.max_queued_turns = 100;
    options.kv_groups[0].n_blocks = 3 * 32;
    const auto [window, has_guesses, n_state_slots] = GetParam();
    options.n_state_slots = n_state_slots;
    if (window != 0)
      options.kv_groups.push_back({.window = window, .blocks_per_sequence = 7, .n_blocks = 3 * 7});
    options.max_draft_tokens = has_guesses ? 9 : 0;
    // Every step takes as long: guesses are as cheap as can be.
    options.now = [time = std::chrono::steady_clock::time_point()]() mutable {
      return time += std::chrono::milliseconds(1);
    };
    return options;
  }
  ManySharedPrefixesTest() : SchedulerTest(Options()) {
    // Answers repeat themselves, most of the time.
    if (GetParam().has_guesses)
      model_.script = [](std::span<const TokenId> sequence) {
        return sequence.size() > 10 && sequence.size() % 13 != 0
                   ? std::optional(sequence[sequence.size() - 7])
                   : std::nullopt;
      };
  }

  uint32_t Draw(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  void SubmitTo(SessionId session) {
    std::vector<TokenId> sequence = scheduler_.Tokens(session).value();
    GenerateRequest request;
    if (!sequence.empty() && Draw(3) == 0) {
      request.keep_tokens = Draw(static_cast<uint32_t>(sequence.size()) + 1);
      sequence.resize(*request.keep_tokens);
    }
    std::vector<TokenId> prompt =
        sequence.empty() ? Prompt(Draw(90), Draw(3)) : std::vector<TokenId>();
    prompt = Joined(prompt, Prompt(1 + Draw(12), Draw(4)));
    if (sequence.size() + prompt.size() + 20 > 256) return;
    request = Greedy(prompt, 1 + Draw(20));
    if (sequence.size() < scheduler_.Tokens(session)->size())
      request.keep_tokens = static_cast<uint32_t>(sequence.size());
    running_[session] = {Joined(sequence, prompt), Submit(session, request)};
  }

  // A step that may fail, find no memory or be given up.
  void Step() {
    const uint32_t what = Draw(30);
    if (what == 0) model_.failure = Internal("the step fails");
    model_.during_step = [this, what] {
      if (what == 1) throw std::bad_alloc();
      for (const auto& [session, running] : running_)
        if (what == 2) scheduler_.Cancel(session);
    };
    scheduler_.Step();
    model_.failure.reset();
    model_.during_step = nullptr;
    model_.ForgetSteps();
  }

  void CheckFinished() {
    std::erase_if(running_, [this](const auto& entry) {
      const auto& [sequence, sink] = entry.second;
      if (!sink->finished()) return false;
      EXPECT_EQ(sink->tokens, model_.Continue(sequence, sink->tokens.size()));
      n_cached_ += sink->usage.cached_tokens;
      n_accepted_ += sink->usage.accepted_tokens;
      n_rejected_ += sink->usage.drafted_tokens - sink->usage.accepted_tokens;
      ++n_checked_;
      return true;
    });
  }

  std::mt19937 random_{20261128};
  std::map<SessionId, Running> running_;
  uint64_t n_cached_ = 0, n_accepted_ = 0, n_rejected_ = 0;
  int n_checked_ = 0;
};

TEST_P(ManySharedPrefixesTest, NoneReadsWhatIsNotItsOwn) {
  std::vector<SessionId> open;
  for (int i = 0; i < 20'000 && !HasFailure(); ++i) {
    const uint32_t what = Draw(100);
    if (open.size() < 8 && what < 10) {
      open.push_back(Open());
    } else if (!open.empty() && what < 40) {
      const SessionId session = open[Draw(static_cast<uint32_t>(open.size()))];
      if (!running_.contains(session)) SubmitTo(session);
    } else if (!open.empty() && what < 43) {
      scheduler_.Cancel(open[Draw(static_cast<uint32_t>(open.size()))]);
    } else if (!open.empty() && what < 46) {
      const size_t at = Draw(static_cast<uint32_t>(open.size()));
      scheduler_.Close(open[at]);
      running_.erase(open[at]);
      open.erase(open.begin() + static_cast<ptrdiff_t>(at));
    } else {
      Step();
      CheckFinished();
    }
  }
  RunUntilIdle();
  CheckFinished();
  EXPECT_GT(n_checked_, 500);
  EXPECT_GT(n_cached_, 10'000u);
  const bool has_guesses = GetParam().has_guesses;
  EXPECT_EQ(n_accepted_ > 150, has_guesses) << n_accepted_;
  EXPECT_EQ(n_rejected_ > 30, has_guesses) << n_rejected_;
}

INSTANTIATE_TEST_SUITE_P(Windows, ManySharedPrefixesTest,
                         ::testing::Values(PrefixCase{}, PrefixCase{.window = 1},
                                           PrefixCase{.window = 12}, PrefixCase{.window = 30},
                                           PrefixCase{.has_guesses = true},
                                           PrefixCase{.window = 12, .has_guesses = true},
                                           PrefixCase{.window = 30, .has_guesses = true},
                                           PrefixCase{.n_state_slots = 6},
                                           PrefixCase{.n_state_slots = 8},
                                           PrefixCase{.window = 12, .n_state_slots = 30}),
                         [](const auto& test) { return test.param.name(); });

// The same on a real model: what comes from the cache is what would have been computed, bit by bit,
// but for answers that became prompts where processors have AMX (docs/cpu-matmul.md).
class SharedPrefixEngineTest : public ::testing::TestWithParam<const char*> {};

TEST_P(SharedPrefixEngineTest, AnswersAreTheSameBitsWithAndWithoutTheCache) {
  constexpr uint32_t kQ4K = 12;
  const float tolerance = CpuLevelInUse().value() == CpuLevel::kAmx ? 0.02f : 0.0f;
  const testing::TempFile file(testing::MakeTinyModel({.architecture = GetParam(),
                                                       .n_embd = 256,
                                                       .n_heads = 8,
                                                       .n_kv_heads = 2,
                                                       .n_ff = 512,
                                                       .matrix_type = kQ4K})
                                   .Build());
  for (const KvDType kv_dtype : {KvDType::kF16, KvDType::kQ8_0}) {
    EngineOptions options;
    options.devices.push_back(CreateCpuDevice({}).value());
    const auto engine = Engine::Create(std::move(options)).value();
    const ModelId model =
        engine
            ->Load(file.path().string(), "", {.context_length = 256, .kv_dtype = kv_dtype}, nullptr)
            .value();
    GenerateRequest request = Greedy(Prompt(140), 40);
    request.ignore_end = true;
    const testing::Answer cold = testing::Generate(*engine, model, request);
    ASSERT_TRUE(cold.status.ok()) << cold.status.ToString();
    EXPECT_EQ(cold.usage.cached_tokens, 0u);
    // A part of the cold answer becomes prompt, so that keys which were computed one by one and
    // keys of a long step stand for each other.
    const size_t n_told = 25;
    request.prompt.insert(request.prompt.end(), cold.tokens.begin(), cold.tokens.begin() + n_told);
    request.max_tokens -= n_told;
    const testing::Answer warm = testing::Generate(*engine, model, request);
    EXPECT_EQ(warm.usage.cached_tokens, 160u);
    ASSERT_EQ(warm.events.size(), cold.events.size() - n_told);
    for (size_t i = 0; i < warm.events.size(); ++i) {
      EXPECT_EQ(warm.events[i].token, cold.events[i + n_told].token);
      EXPECT_NEAR(warm.events[i].logprob, cold.events[i + n_told].logprob, tolerance)
          << "token " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, SharedPrefixEngineTest, ::testing::Values("llama", "qwen35"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace forge
