// Guesses that a step computes beside the next token.

#include <gmock/gmock.h>

#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/draft_choice.h"
#include "engine/runtime/drafter.h"
#include "engine/runtime/step_cost.h"
#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/scheduler_fixture.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using ::testing::ElementsAre;
using testing::Greedy;
using ::testing::IsEmpty;
using testing::Prompt;
using testing::SchedulerTest;
using testing::SmallOptions;

using Tokens = std::vector<TokenId>;

// ---- Drafter

TEST(DrafterTest, ProposesWhatFollowedTheLongestMatch) {
  Drafter drafter;
  const Tokens sequence = {1, 2, 3, 40, 41, 9, 2, 3, 50, 51, 1, 2, 3};
  EXPECT_THAT(drafter.Propose(sequence, 2).tokens, ElementsAre(40, 41));
  EXPECT_THAT(drafter.Propose(sequence, 12).tokens,
              ElementsAre(40, 41, 9, 2, 3, 50, 51, 1, 2, 3, 40, 41))
      << "and so on";
  EXPECT_THAT(drafter.Propose(sequence, 0).tokens, IsEmpty());
}

TEST(DrafterTest, OfEqualMatchesTheLastOneCounts) {
  Drafter drafter;
  EXPECT_THAT(drafter.Propose(Tokens{1, 2, 40, 1, 2, 50, 1, 2}, 1).tokens, ElementsAre(50));
}

TEST(DrafterTest, ProposesNothingWhereTheLastTokensAreNew) {
  Drafter drafter;
  for (const Tokens& sequence :
       {Tokens{}, Tokens{1}, Tokens{1, 1}, Tokens{1, 2, 3, 4}, Tokens{1, 3, 2, 3}})
    EXPECT_THAT(drafter.Propose(sequence, 5).tokens, IsEmpty());
  EXPECT_THAT(drafter.Propose(Tokens{1, 1, 1}, 5).tokens, ElementsAre(1, 1, 1, 1, 1));
}

TEST(DrafterTest, LooksNoFurtherBackThanItsReach) {
  Drafter drafter;
  Tokens sequence = {1, 2, 3};
  for (size_t i = 0; i < Drafter::kReach; ++i) sequence.push_back(static_cast<TokenId>(10 + i));
  sequence.insert(sequence.end(), {1, 2});
  EXPECT_THAT(drafter.Propose(sequence, 5).tokens, IsEmpty());
  sequence.erase(sequence.begin() + 10, sequence.begin() + 20);
  EXPECT_THAT(drafter.Propose(sequence, 1).tokens, ElementsAre(3));
}

TEST(DrafterTest, LearnsHowOftenItIsRightByTheLengthOfTheMatch) {
  Drafter drafter;
  const Tokens of_two = {1, 2, 3, 9, 9, 1, 2}, of_three = {1, 2, 5, 3, 9, 9, 1, 2, 5};
  const double two = drafter.Propose(of_two, 1).probabilities[0];
  const double three = drafter.Propose(of_three, 1).probabilities[0];
  EXPECT_LT(two, three);
  // Nobody needs to compute what is proposed.
  for (int i = 0; i < 30; ++i) {
    drafter.Propose(of_two, 1);
    drafter.Learn(7);
  }
  EXPECT_LT(drafter.Propose(of_two, 1).probabilities[0], 0.02);
  EXPECT_EQ(drafter.Propose(of_three, 1).probabilities[0], three);
  // The second token of a draft is that of a match longer by one, as long as the first is right.
  for (int i = 0; i < 30; ++i) {
    drafter.Propose(of_two, 2);
    drafter.Learn(3);
    drafter.Learn(9);
    drafter.Learn(4);  // the draft was over
  }
  EXPECT_GT(drafter.Propose(of_two, 1).probabilities[0], 0.95);
  EXPECT_GT(drafter.Propose(of_three, 1).probabilities[0], 0.95);
  drafter.Propose(of_two, 2);
  drafter.Learn(4);
  const double after = drafter.Propose(of_three, 1).probabilities[0];
  drafter.Propose(of_two, 2);
  drafter.Learn(4);
  drafter.Learn(4);  // says nothing of a draft that was wrong before
  EXPECT_EQ(drafter.Propose(of_three, 1).probabilities[0], after);
}

// ---- What a step costs

TEST(StepCostTest, ExpectsTokensToBeCheapUntilItSawOtherwise) {
  StepCost cost;
  EXPECT_FALSE(cost.is_known());
  cost.Note(1, 2.0);
  EXPECT_TRUE(cost.is_known());
  EXPECT_DOUBLE_EQ(cost.SecondsOf(1), 2.0);
  EXPECT_NEAR(cost.SecondsPerToken(), 0.2, 1e-12);
}

TEST(StepCostTest, FollowsWhatIsMeasured) {
  StepCost cost;
  for (const double slope : {0.5, 0.01}) {
    for (int i = 0; i < 200; ++i) cost.Note(1 + i % 8, 1.0 + slope * (i % 8));
    EXPECT_NEAR(cost.SecondsPerToken(), slope, 0.03);
    EXPECT_NEAR(cost.SecondsOf(8), 1.0 + 7 * slope, 0.15);
  }
  // Steps that become shorter as they hold more are noise.
  for (int i = 0; i < 200; ++i) cost.Note(1 + i % 8, 9.0 - i % 8);
  EXPECT_EQ(cost.SecondsPerToken(), 0.0);
}

TEST(StepCostTest, AStepThatWasHeldUpCountsLittle) {
  StepCost cost;
  for (int i = 0; i < 100; ++i) cost.Note(1 + i % 8, 1.0 + 0.1 * (i % 8));
  cost.Note(8, 1000.0);
  EXPECT_LT(cost.SecondsPerToken(), 0.25);
  // A machine that became slow does.
  for (int i = 0; i < 200; ++i) cost.Note(1 + i % 8, 100.0 + 10.0 * (i % 8));
  EXPECT_NEAR(cost.SecondsPerToken(), 10.0, 1.0);
}

// ---- How much of a draft is computed

Draft MakeDraft(size_t n, double probability) {
  return {.tokens = Tokens(n, 1), .probabilities = std::vector<double>(n, probability)};
}

std::vector<size_t> Choose(std::vector<Draft> drafts, size_t most, double slope) {
  StepCost cost;
  for (int i = 0; i < 300; ++i) cost.Note(1 + i % 8, 1.0 + slope * (1 + i % 8));
  std::vector<const Draft*> pointers;
  for (const Draft& draft : drafts) pointers.push_back(&draft);
  return ChooseDrafts(pointers, most, cost);
}

TEST(ChooseDraftsTest, TakesNothingBeforeAStepWasMeasured) {
  const Draft draft = MakeDraft(5, 1.0);
  EXPECT_THAT(ChooseDrafts(std::array{&draft}, 5, StepCost()), ElementsAre(0));
}

TEST(ChooseDraftsTest, TakesWhatIsLikelyEnoughForItsPrice) {
  EXPECT_THAT(Choose({MakeDraft(9, 0.95)}, 7, 0.05), ElementsAre(7));
  EXPECT_THAT(Choose({MakeDraft(3, 0.95)}, 7, 0.05), ElementsAre(3));
  EXPECT_THAT(Choose({MakeDraft(0, 0.95)}, 7, 0.05), ElementsAre(0));
  // A half, a quarter, and an eighth, which is below what is worth the doubt.
  EXPECT_THAT(Choose({MakeDraft(9, 0.5)}, 7, 0.01), ElementsAre(2));
  EXPECT_THAT(Choose({MakeDraft(9, 0.1)}, 7, 0.0), ElementsAre(0));
  // Where a token more takes as long as a step of its own there is nothing to win.
  EXPECT_THAT(Choose({MakeDraft(9, 0.7)}, 7, 100.0), ElementsAre(0));
}

TEST(ChooseDraftsTest, SharesAStepByWhatIsLikely) {
  EXPECT_THAT(Choose({MakeDraft(9, 0.9), MakeDraft(9, 0.3), MakeDraft(9, 0.9)}, 5, 0.02),
              ElementsAre(3, 0, 2));
  EXPECT_THAT(Choose({MakeDraft(9, 1.0), MakeDraft(2, 1.0)}, 31, 0.02), ElementsAre(9, 2));
  EXPECT_THAT(Choose({}, 5, 0.02), IsEmpty());
}

// ---- In the scheduler

// A step takes 10 ms, and 1 ms for each token.
class SpeculationTest : public SchedulerTest {
 protected:
  SpeculationTest() : SchedulerTest(Options()) { model = &model_; }
  ~SpeculationTest() override { model = nullptr; }

  static SchedulerOptions Options() {
    SchedulerOptions options = SmallOptions();
    options.max_draft_tokens = 7;
    options.now = [] {
      std::chrono::steady_clock::time_point now;
      for (const auto& step : model->steps()) {
        now += std::chrono::milliseconds(10);
        for (const auto& part : step) now += std::chrono::milliseconds(part.n_tokens);
      }
      return now;
    };
    return options;
  }
  // The model goes on as the tokens went on `period` ago.
  void Repeat(size_t period) {
    model_.script = [period](std::span<const TokenId> sequence) {
      return std::optional(sequence[sequence.size() - period]);
    };
  }

  static inline testing::FakeModel* model = nullptr;
};

TEST_F(SpeculationTest, AnAnswerThatRepeatsTakesFewSteps) {
  Repeat(20);
  const auto sink = Submit(Greedy(Prompt(40), 120));
  RunUntilIdle();
  ASSERT_TRUE(sink->finished());
  EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(40), 120));
  EXPECT_LT(model_.steps().size(), 30u) << "three for the prompt";
  for (size_t i = 0; i < model_.steps().size(); ++i)
    EXPECT_EQ(model_.steps()[i][0].is_generated, i >= 3) << "guesses are not given";
  EXPECT_EQ(sink->usage.output_tokens, 120u);
  EXPECT_EQ(sink->usage.context_used, 160u);
  EXPECT_EQ(sink->usage.accepted_tokens, 120 - 1 - (model_.steps().size() - 3));
  EXPECT_GE(sink->usage.drafted_tokens, sink->usage.accepted_tokens);
}

TEST_F(SpeculationTest, AnAnswerWithoutRepetitionTakesNoGuesses) {
  const auto sink = Submit(Greedy(Prompt(40), 100));
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(40), 100));
  EXPECT_LE(sink->usage.drafted_tokens, 3u);
}

TEST_F(SpeculationTest, GuessesThatAreMostlyWrongAreGivenUp) {
  // Pairs of tokens come again and again, but never with what followed them.
  model_.script = [](std::span<const TokenId> sequence) {
    const size_t n = sequence.size();
    if (n % 3 != 0) return std::optional(static_cast<TokenId>(n % 3));
    return std::optional(static_cast<TokenId>(100 + n / 3));
  };
  const auto sink = Submit(Greedy(Prompt(12), 200));
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(12), 200));
  EXPECT_LT(sink->usage.drafted_tokens, 60u);
}

TEST_F(SpeculationTest, EndsWhereItWouldEndWithoutGuesses) {
  Repeat(10);
  const TokenId end = *testing::TestTokenizer().special().eos;
  for (const size_t place : {61u, 64u, 67u}) {
    model_.script = [&](std::span<const TokenId> sequence) {
      return std::optional(sequence.size() == place ? end : sequence[sequence.size() - 10]);
    };
    const SessionId session = Open();
    const auto sink = Submit(session, Greedy(Prompt(30), 100));
    RunUntilIdle();
    EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
    EXPECT_EQ(sink->tokens.size(), place - 30 + 1);
    EXPECT_EQ(sink->tokens.back(), end);
    EXPECT_GT(sink->usage.accepted_tokens, 0u);
    EXPECT_EQ(scheduler_.Tokens(session)->size(), place + 1);
  }
  Repeat(10);
  for (const uint32_t most : {31u, 32u, 33u, 34u}) {
    const auto sink = Submit(Greedy(Prompt(30), most));
    RunUntilIdle();
    EXPECT_EQ(sink->reason, FinishReason::kMaxTokens);
    EXPECT_EQ(sink->tokens.size(), most);
  }
  const auto full = Submit(Greedy(Prompt(30), 0));
  RunUntilIdle();
  EXPECT_EQ(full->reason, FinishReason::kContextFull);
  EXPECT_EQ(full->usage.context_used, 256u);
  EXPECT_EQ(full->tokens, model_.Continue(Prompt(30), 226));
}

TEST_F(SpeculationTest, AWaitingPromptIsNotHeldUpByGuesses) {
  Repeat(10);
  const auto first = Submit(Greedy(Prompt(30), 100));
  Steps(10);
  model_.ForgetSteps();
  const auto second = Submit(Greedy(Prompt(40, 5), 20));
  Steps(3);
  for (const auto& step : model_.steps()) EXPECT_EQ(step[0].n_tokens, 1u);
  RunUntilIdle();
  EXPECT_EQ(first->tokens, model_.Continue(Prompt(30), 100));
  EXPECT_EQ(second->tokens, model_.Continue(Prompt(40, 5), 20));
}

// Blocks have 8 positions, and there are 64.
TEST_F(SpeculationTest, NobodyLosesBlocksForAGuess) {
  for (uint32_t salt = 1; salt <= 7; ++salt) {
    Submit(Greedy(Prompt(60, salt), 5));
    RunUntilIdle();
  }
  ASSERT_EQ(States().size(), 7u) << "of 8 blocks each";
  const TokenId end = *testing::TestTokenizer().special().eos;
  model_.script = [&](std::span<const TokenId> sequence) {
    return std::optional(sequence.size() == 64 ? end : sequence[sequence.size() - 10]);
  };
  const auto sink = Submit(Greedy(Prompt(30), 100));
  RunUntilIdle();
  EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
  EXPECT_GT(sink->usage.accepted_tokens, 10u);
  EXPECT_EQ(States().size(), 8u);
}

TEST_F(SpeculationTest, AStepThatFailsLeavesNoGuessInTheSequence) {
  Repeat(10);
  const SessionId session = Open();
  const auto failed = Submit(session, Greedy(Prompt(30), 100));
  Steps(12);
  const size_t n_told = failed->tokens.size();
  ASSERT_GT(failed->usage.drafted_tokens + model_.steps().back()[0].n_tokens, 1u);
  model_.failure = Internal("the step fails");
  Tokens during;
  model_.during_step = [&] { during = scheduler_.Tokens(session).value(); };
  Steps(2);
  model_.failure.reset();
  model_.during_step = nullptr;
  ASSERT_TRUE(failed->finished());
  EXPECT_EQ(during.size(), 30 + n_told) << "guesses are nobody's tokens";
  EXPECT_EQ(scheduler_.Tokens(session)->size(), 30 + n_told);
  const auto next = Submit(session, Greedy({7}, 20));
  RunUntilIdle();
  Tokens sequence = Prompt(30);
  sequence.insert(sequence.end(), failed->tokens.begin(), failed->tokens.end());
  sequence.push_back(7);
  EXPECT_EQ(next->tokens, model_.Continue(sequence, 20));
}

TEST_F(SpeculationTest, WhatFollowsALostTokenInItsStepIsNotTold) {
  Repeat(10);
  class Sink final : public testing::RecordingSink {
   public:
    void OnToken(TokenEvent event) override {
      if (tokens.size() == 40 && std::exchange(has_memory_, false)) throw std::bad_alloc();
      RecordingSink::OnToken(std::move(event));
    }

   private:
    bool has_memory_ = true;
  };
  const auto sink = std::make_shared<Sink>();
  ASSERT_TRUE(scheduler_.Submit(Open(), Greedy(Prompt(30), 100), sink).ok());
  RunUntilIdle();
  EXPECT_GT(sink->usage.accepted_tokens, 20u);
  EXPECT_EQ(sink->status.reason(), "HOST_MEMORY_EXHAUSTED");
  EXPECT_EQ(sink->tokens, model_.Continue(Prompt(30), 40));
}

// ---- With a constraint

constexpr const char* kForm = R"({"type": "object", "required": ["name", "kind", "colour"],
    "properties": {"name": {"type": "string"}, "kind": {"const": "fox"},
                   "colour": {"enum": ["red", "silver"]}}})";

TEST_F(SpeculationTest, WhatAConstraintLeavesNoChoiceAboutIsGuessed) {
  const Tokens answer =
      testing::TestTokens(R"({"name": "Otto", "kind": "fox", "colour": "silver"})");
  model_.script = [&](std::span<const TokenId> sequence) {
    return std::optional(answer[std::min(sequence.size() - 10, answer.size() - 1)]);
  };
  GenerateRequest request = Greedy(Prompt(10), 200);
  request.constraint = {OutputConstraint::Kind::kJsonSchema, kForm};
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, answer);
  EXPECT_EQ(sink->reason, FinishReason::kEndOfText);
  EXPECT_LT(model_.steps().size(), answer.size() / 2);
  EXPECT_GT(sink->usage.accepted_tokens, sink->usage.drafted_tokens * 7 / 10);
}

TEST_F(SpeculationTest, AGuessThatTheConstraintForbidsIsNotComputed) {
  const Tokens prompt = testing::TestTokens("ab1ab1ab1"), answer = testing::TestTokens("abcdefgh");
  model_.script = [&](std::span<const TokenId> sequence) {
    return std::optional(answer[std::min(sequence.size() - prompt.size(), answer.size() - 1)]);
  };
  GenerateRequest request = Greedy(prompt, static_cast<uint32_t>(answer.size()));
  request.constraint = {OutputConstraint::Kind::kGrammar, "root ::= [a-z]+"};
  const auto sink = Submit(std::move(request));
  RunUntilIdle();
  EXPECT_EQ(sink->tokens, answer);
  EXPECT_EQ(sink->usage.drafted_tokens, 0u);
}

// ---- In a whole engine

// A device that guesses and one that does not, with the same model.
class SpeculationEngineTest : public ::testing::TestWithParam<testing::TinyModelOptions> {
 protected:
  testing::Answer Generate(uint32_t max_draft_tokens, const GenerateRequest& request) {
    EngineOptions options;
    options.devices.push_back(CreateCpuDevice({.max_draft_tokens = max_draft_tokens}).value());
    const auto engine = Engine::Create(std::move(options)).value();
    const ModelId model =
        engine->Load(file_.path().string(), "", {.context_length = 400}, nullptr).value();
    return testing::Generate(*engine, model, request);
  }
  // Both give the same answer; returns how many guesses were right.
  uint32_t Compare(const GenerateRequest& request) {
    const testing::Answer plain = Generate(0, request), guessed = Generate(7, request);
    EXPECT_TRUE(plain.status.ok() && guessed.status.ok()) << guessed.status.ToString();
    EXPECT_EQ(plain.usage.drafted_tokens, 0u);
    EXPECT_EQ(plain.reason, guessed.reason);
    EXPECT_EQ(plain.text, guessed.text);
    EXPECT_EQ(plain.events.size(), guessed.events.size());
    for (size_t i = 0; i < std::min(plain.events.size(), guessed.events.size()); ++i) {
      EXPECT_EQ(plain.events[i].token, guessed.events[i].token) << i;
      EXPECT_EQ(plain.events[i].logprob, guessed.events[i].logprob) << i;
      EXPECT_EQ(plain.events[i].text, guessed.events[i].text) << i;
    }
    return guessed.usage.accepted_tokens;
  }

  const testing::TempFile file_{testing::MakeTinyModel(GetParam()).Build()};
};

GenerateRequest Repetitive(uint32_t max_tokens) {
  Tokens prompt;
  for (int i = 0; i < 60; ++i) prompt.push_back(static_cast<TokenId>(i % 12 + 60));
  GenerateRequest request = Greedy(prompt, max_tokens);
  request.ignore_end = true;
  return request;
}

TEST_P(SpeculationEngineTest, AnswersAreTheSameBits) {
  uint32_t n_accepted = Compare(Repetitive(300));
  GenerateRequest request = Repetitive(200);
  request.sampling.temperature = 0.7f;
  request.sampling.top_k = 3;
  n_accepted += Compare(request);
  request.sampling.top_k = 0;
  request.sampling.repetition_penalty = 0.8f;  // makes it say the same again
  request.sampling.penalty_window = -1;
  request.top_logprobs = 3;
  n_accepted += Compare(request);
  request.sampling = {};
  request.constraint = {OutputConstraint::Kind::kGrammar, "root ::= (\"abc \" [de] \", \")+"};
  n_accepted += Compare(request);
  request.constraint = {OutputConstraint::Kind::kJsonSchema,
                        R"({"type": "array", "minItems": 9, "items": )" + std::string(kForm) + "}"};
  request.sampling.temperature = 1.0f;
  request.top_logprobs = 2;
  n_accepted += Compare(request);
  request = Repetitive(200);
  request.ignore_end = false;
  request.stop_strings = {"x"};
  Compare(request);
  EXPECT_GT(n_accepted, 0u);  // how many depends on what else the machine does
}

TEST_P(SpeculationEngineTest, StreamsThatShareAStepsGuessesKeepTheirBits) {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({.max_draft_tokens = 7}).value());
  const auto engine = Engine::Create(std::move(options)).value();
  const ModelId model =
      engine->Load(file_.path().string(), "", {.context_length = 400}, nullptr).value();
  std::vector<GenerateRequest> requests(3, Repetitive(200));
  requests[1].prompt.resize(37);
  requests[1].top_logprobs = 2;
  requests[2].sampling.temperature = 0.7f;  // all logits, beside the greatest of the others
  requests[2].sampling.top_k = 0;
  std::vector<std::shared_ptr<testing::CollectingSink>> sinks;
  for (const GenerateRequest& request : requests)
    sinks.push_back(testing::Submit(*engine, engine->OpenSession(model).value(), request));
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const testing::Answer together = sinks[i]->Wait(), alone = Generate(0, requests[i]);
    ASSERT_EQ(together.tokens, alone.tokens);
    for (size_t k = 0; k < alone.events.size(); ++k)
      ASSERT_EQ(together.events[k].logprob, alone.events[k].logprob) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, SpeculationEngineTest,
    ::testing::Values(
        testing::TinyModelOptions{
            .n_embd = 256, .n_heads = 8, .n_kv_heads = 2, .n_ff = 512, .matrix_type = 12},
        testing::TinyModelOptions{.architecture = "gemma3", .n_layers = 7},
        testing::TinyModelOptions{.architecture = "qwen3moe"}),
    [](const auto& test) { return test.param.architecture; });

}  // namespace
}  // namespace forge
