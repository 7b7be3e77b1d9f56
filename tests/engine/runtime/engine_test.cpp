#include "engine/runtime/engine.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "kernels/cpu/cpu_device.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/failing_device.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge {
namespace {

using testing::Answer;
using testing::CollectingSink;
using ::testing::ElementsAre;
using testing::Greedy;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempFile;
using testing::TestTokens;
using testing::TinyModelOptions;

TempFile Write(const TinyModelOptions& options = {}) {
  return TempFile(testing::MakeTinyModel(options).Build());
}

std::unique_ptr<Engine> MakeEngine(AdmissionPolicy policy = {}, uint32_t max_queued_turns = 256) {
  EngineOptions options;
  options.devices.push_back(CreateCpuDevice({}).value());
  options.policy = policy;
  options.max_queued_turns = max_queued_turns;
  return Engine::Create(std::move(options)).value();
}

// A context that no turn fills while a test looks at it, however slow the test's own thread is.
constexpr uint32_t kLongContext = 32768;

TempFile WriteLongContext() {
  TinyModelOptions options;
  options.n_context = kLongContext;
  return Write(options);
}

LoadOptions LongContext(uint32_t max_sequences = 4) {
  LoadOptions options;
  options.context_length = kLongContext;
  options.max_sequences = max_sequences;
  return options;
}

// An engine with one tiny model in it.
class EngineTest : public ::testing::Test {
 protected:
  EngineTest() { model_ = engine_->Load(Path(), "", LongContext(), nullptr).value(); }

  std::string Path() const { return file_.path().string(); }
  DeviceMemory Memory() const { return engine_->Memory().front(); }

  TempFile file_ = WriteLongContext();
  std::unique_ptr<Engine> engine_ = MakeEngine();
  ModelId model_ = 0;
};

GenerateRequest Sampled(uint64_t seed, uint32_t max_tokens) {
  GenerateRequest request = Greedy(TestTokens("hello world"), max_tokens);
  request.sampling.temperature = 1.0f;
  request.sampling.seed = seed;
  request.ignore_end = true;
  return request;
}

TEST_F(EngineTest, GeneratesWhatTheForwardPassPredicts) {
  testing::ForwardHarness forward(file_.path(), {});
  std::vector<TokenId> prompt = TestTokens("the world is that");
  GenerateRequest request = Greedy(prompt, 12);
  request.ignore_end = true;
  request.top_logprobs = 2;
  const Answer answer = testing::Generate(*engine_, model_, request);
  ASSERT_EQ(answer.tokens.size(), 12u);
  for (const TokenEvent& event : answer.events) {
    const testing::Logits logits = forward.Feed(0, prompt, 128);
    EXPECT_EQ(event.token, std::max_element(logits.begin(), logits.end()) - logits.begin());
    EXPECT_EQ(event.token, event.top_logprobs.at(0).token);
    EXPECT_EQ(event.logprob, event.top_logprobs.at(0).logprob);
    prompt = {event.token};
  }
}

TEST_F(EngineTest, TheSameSeedGivesTheSameTextAloneAndBesideOtherStreams) {
  const Answer alone = testing::Generate(*engine_, model_, Sampled(7, 60));
  std::vector<SessionId> sessions;
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (const uint64_t seed : {1u, 2u, 7u, 3u}) {
    sessions.push_back(engine_->OpenSession(model_).value());
    GenerateRequest request = Sampled(seed, 60);
    if (seed != 7) request.prompt = TestTokens("and that is to the end of the world in the");
    sinks.push_back(testing::Submit(*engine_, sessions.back(), std::move(request)));
  }
  EXPECT_EQ(sinks[2]->Wait().tokens, alone.tokens);
  EXPECT_NE(sinks[0]->Wait().tokens, alone.tokens);
}

// The device hands out the greatest logits to the one and all of them to the other.
TEST_F(EngineTest, TurnsThatLookAtAllLogitsAndAtTheGreatestAgreeInTheSameSteps) {
  const SessionId first = engine_->OpenSession(model_).value();
  const SessionId second = engine_->OpenSession(model_).value();
  const SessionId third = engine_->OpenSession(model_).value();
  GenerateRequest of_greatest = Sampled(7, 60);
  of_greatest.top_logprobs = 5;
  GenerateRequest of_all = of_greatest;
  of_all.sampling.logit_bias = {{0, 0.0f}};
  GenerateRequest greedy = Greedy(of_greatest.prompt, 60);
  greedy.ignore_end = true;
  const auto sink_of_greatest = testing::Submit(*engine_, first, of_greatest);
  const auto sink_of_all = testing::Submit(*engine_, second, of_all);
  const auto greedy_sink = testing::Submit(*engine_, third, greedy);
  const Answer& greatest = sink_of_greatest->Wait();
  const Answer& all = sink_of_all->Wait();
  EXPECT_EQ(greatest.tokens, all.tokens);
  ASSERT_EQ(greatest.events.size(), 60u);
  ASSERT_EQ(all.events.size(), 60u);
  for (size_t i = 0; i < 60; ++i) {
    EXPECT_NEAR(greatest.events[i].logprob, all.events[i].logprob, 1e-5);
    ASSERT_EQ(greatest.events[i].top_logprobs.size(), 5u);
    ASSERT_EQ(all.events[i].top_logprobs.size(), 5u);
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(greatest.events[i].top_logprobs[k].token, all.events[i].top_logprobs[k].token);
      EXPECT_NEAR(greatest.events[i].top_logprobs[k].logprob, all.events[i].top_logprobs[k].logprob,
                  1e-5);
    }
  }
  EXPECT_EQ(greedy_sink->Wait().tokens, testing::Generate(*engine_, model_, greedy).tokens);
}

TEST_F(EngineTest, ContinuingASessionEqualsOneLongPrompt) {
  const SessionId session = engine_->OpenSession(model_).value();
  std::vector<TokenId> sequence;
  for (const std::string_view text : {"hello world", "and that is the", "of to in"}) {
    GenerateRequest request = Greedy(TestTokens(text), 8);
    request.ignore_end = true;
    sequence.insert(sequence.end(), request.prompt.begin(), request.prompt.end());
    const Answer answer = testing::Submit(*engine_, session, request)->Wait();
    request.prompt = sequence;
    EXPECT_EQ(testing::Generate(*engine_, model_, request).tokens, answer.tokens) << text;
    sequence.insert(sequence.end(), answer.tokens.begin(), answer.tokens.end());
  }
}

TEST_F(EngineTest, AllocatesExactlyThePlanAndGivesItBack) {
  const ModelFileInfo info = engine_->Inspect(Path(), "", LongContext()).value();
  EXPECT_GT(info.weights_bytes, 0u);
  EXPECT_GT(info.kv_bytes, 0u);
  EXPECT_GT(info.scratch_bytes, 0u);
  EXPECT_EQ(Memory().allocated_bytes, info.total_bytes());
  EXPECT_EQ(Memory().reserved_bytes, info.total_bytes());
  ASSERT_EQ(Memory().models.size(), 1u);
  EXPECT_EQ(Memory().models[0].kv_bytes, info.kv_bytes);
  testing::Generate(*engine_, model_, Greedy(TestTokens("hello"), 20));
  EXPECT_EQ(Memory().allocated_bytes, info.total_bytes());  // nothing grows
  EXPECT_EQ(engine_->Unload(model_).value(), info.total_bytes());
  EXPECT_EQ(Memory().allocated_bytes, 0u);
  EXPECT_EQ(Memory().allocations, 0u);
  EXPECT_EQ(Memory().reserved_bytes, 0u);
  EXPECT_THAT(Memory().models, IsEmpty());
}

TEST_F(EngineTest, LoadingAndUnloading200TimesLeavesNothingBehind) {
  ASSERT_TRUE(engine_->Unload(model_).ok());
  LoadOptions options;
  options.context_length = 64;
  for (int round = 0; round < 200; ++round) {
    const Result<ModelId> model = engine_->Load(Path(), "cpu", options, nullptr);
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    if (round % 20 == 0) testing::Generate(*engine_, *model, Greedy(TestTokens("the"), 3));
    ASSERT_TRUE(engine_->Unload(*model).ok());
    ASSERT_EQ(Memory().allocations, 0u) << "round " << round;
    ASSERT_EQ(Memory().allocated_bytes, 0u) << "round " << round;
  }
}

TEST_F(EngineTest, DescribesTheModel) {
  const ModelStatus status = engine_->GetModel(model_).value();
  EXPECT_EQ(status.id, model_);
  EXPECT_EQ(status.info.architecture, "llama");
  EXPECT_EQ(status.info.name, "tiny");
  EXPECT_EQ(status.info.tokenizer, "gpt2");
  EXPECT_EQ(status.info.chat_template, "from the file");
  EXPECT_EQ(status.info.device, "cpu");
  EXPECT_EQ(status.info.n_layers, 2u);
  EXPECT_EQ(status.info.head_dim, 16u);
  EXPECT_EQ(status.info.context_length, kLongContext);
  EXPECT_EQ(status.info.n_vocab, testing::TinyVocabularySize(testing::TinyVocabulary::kBpe));
  ASSERT_EQ(status.info.format_bytes.size(), 1u);
  EXPECT_EQ(status.info.format_bytes[0].first, "F32");
  EXPECT_EQ(status.info.format_bytes[0].second, 4 * status.info.n_parameters);
  EXPECT_EQ(status.slots_total, 4u);
  EXPECT_EQ(status.slots_busy, 0u);
  EXPECT_THAT(status.sequences, IsEmpty());
}

TEST_F(EngineTest, TheSamePathLoadedTwiceIsTwoModels) {
  const ModelId other = engine_->Load(Path(), "", {}, nullptr).value();
  EXPECT_NE(other, model_);
  EXPECT_EQ(engine_->ListModels().size(), 2u);
  EXPECT_EQ(Memory().models.size(), 2u);
  const GenerateRequest request = Greedy(TestTokens("hello"), 5);
  EXPECT_EQ(testing::Generate(*engine_, model_, request).tokens,
            testing::Generate(*engine_, other, request).tokens);
}

TEST_F(EngineTest, UnloadingDuringGenerationEndsTheTurnsAndFreesEverything) {
  const SessionId session = engine_->OpenSession(model_).value();
  GenerateRequest request = Greedy(TestTokens("hello"), 0);
  request.ignore_end = true;
  const auto sink = testing::Submit(*engine_, session, request);
  sink->WaitForTokens(3);
  ASSERT_TRUE(engine_->Unload(model_).ok());
  EXPECT_EQ(Memory().allocations, 0u);
  const Answer answer = sink->Wait();
  EXPECT_EQ(answer.reason, FinishReason::kCancelled);
  EXPECT_EQ(answer.status.code(), StatusCode::kCancelled);
  EXPECT_EQ(answer.n_finished, 1);
  EXPECT_EQ(engine_->Submit(session, request, sink).reason(), "SESSION_NOT_FOUND");
  EXPECT_EQ(engine_->Unload(model_).status().reason(), "MODEL_NOT_LOADED");
  EXPECT_EQ(engine_->OpenSession(model_).status().reason(), "MODEL_NOT_LOADED");
}

TEST_F(EngineTest, ItsEndTellsTurnsThatTheServerShutsDown) {
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (int i = 0; i < 6; ++i) {
    GenerateRequest request = Greedy(TestTokens("hello"), 0);
    request.ignore_end = true;
    sinks.push_back(testing::Submit(*engine_, engine_->OpenSession(model_).value(), request));
  }
  sinks[0]->WaitForTokens(2);
  engine_.reset();
  for (const auto& sink : sinks) {
    const Answer answer = sink->Wait();
    EXPECT_EQ(answer.status.code(), StatusCode::kUnavailable);
    EXPECT_EQ(answer.status.reason(), "SHUTTING_DOWN");
  }
}

TEST_F(EngineTest, LoadsUnloadsAndGeneratesAtTheSameTime) {
  const GenerateRequest request = Sampled(5, 40);
  const std::vector<TokenId> expected = testing::Generate(*engine_, model_, request).tokens;
  std::atomic<int> n_wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i)
        if (testing::Generate(*engine_, model_, request).tokens != expected) ++n_wrong;
    });
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        const ModelId other = engine_->Load(Path(), "", {}, nullptr).value();
        if (testing::Generate(*engine_, other, request).tokens != expected) ++n_wrong;
        engine_->ListModels();
        engine_->Memory();
        engine_->Progress();
        if (!engine_->Unload(other).ok()) ++n_wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(n_wrong, 0);
  EXPECT_EQ(Memory().allocated_bytes, engine_->GetModel(model_)->info.total_bytes());
}

TEST_F(EngineTest, ACancelledOrClosedTurnFreesItsSlot) {
  for (const bool close : {false, true}) {
    const SessionId session = engine_->OpenSession(model_).value();
    GenerateRequest request = Greedy(TestTokens("hello"), 0);
    request.ignore_end = true;
    const auto sink = testing::Submit(*engine_, session, request);
    sink->WaitForTokens(2);
    const auto begin = std::chrono::steady_clock::now();
    close ? engine_->CloseSession(session) : engine_->Cancel(session);
    EXPECT_EQ(engine_->GetModel(model_)->slots_busy, 0u);
    const Answer answer = sink->Wait();
    EXPECT_EQ(answer.reason, FinishReason::kCancelled);
    EXPECT_TRUE(answer.status.ok());
    // 50 ms are promised; the margin is for machines under load and sanitizers.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
    EXPECT_EQ(engine_->GetModel(model_)->sequences.size(), close ? 0u : 1u);
    engine_->CloseSession(session);
  }
}

TEST(EngineQueueTest, QueuesTurnsBeyondTheSlotsAndBoundsTheQueue) {
  const TempFile file = WriteLongContext();
  const std::unique_ptr<Engine> engine = MakeEngine({}, /*max_queued_turns=*/1);
  const ModelId model =
      engine->Load(file.path().string(), "", LongContext(/*max_sequences=*/1), nullptr).value();
  GenerateRequest request = Greedy(TestTokens("hello"), 0);
  request.ignore_end = true;
  const SessionId running = engine->OpenSession(model).value();
  const auto first = testing::Submit(*engine, running, request);
  first->WaitForTokens(1);
  request.max_tokens = 3;
  const auto second = testing::Submit(*engine, engine->OpenSession(model).value(), request);
  const Status refused = engine->Submit(engine->OpenSession(model).value(), request,
                                        std::make_shared<CollectingSink>());
  EXPECT_EQ(refused.reason(), "QUEUE_FULL");
  EXPECT_EQ(engine->GetModel(model)->queued, 1u);
  engine->Cancel(running);
  const Answer answer = second->Wait();
  EXPECT_EQ(answer.tokens.size(), 3u);
}

TEST_F(EngineTest, ReportsTheLoadsPhasesInOrder) {
  std::vector<LoadPhase> phases;
  LoadProgressInfo last{};
  const auto observer = [&](const LoadProgressInfo& info) {
    if (phases.empty() || phases.back() != info.phase) phases.push_back(info.phase);
    last = info;
    return true;
  };
  ASSERT_TRUE(engine_->Load(Path(), "", {}, observer).ok());
  EXPECT_THAT(phases, ElementsAre(LoadPhase::kReadingHeader, LoadPhase::kAdmission,
                                  LoadPhase::kLoadingWeights, LoadPhase::kReady));
  EXPECT_GT(last.bytes_total, 0u);
  EXPECT_EQ(last.bytes_done, last.bytes_total);
}

TEST_F(EngineTest, ALoadCancelledInAnyPhaseChangesNothing) {
  const uint64_t before = Memory().allocated_bytes;
  for (const LoadPhase phase : {LoadPhase::kReadingHeader, LoadPhase::kAdmission,
                                LoadPhase::kLoadingWeights, LoadPhase::kReady}) {
    const Result<ModelId> model = engine_->Load(
        Path(), "", {}, [phase](const LoadProgressInfo& info) { return info.phase != phase; });
    EXPECT_EQ(model.status().code(), StatusCode::kCancelled);
    EXPECT_EQ(Memory().allocated_bytes, before);
    EXPECT_EQ(Memory().reserved_bytes, before);
    EXPECT_EQ(engine_->ListModels().size(), 1u);
  }
}

TEST(EngineAdmissionTest, ALoadThatDoesNotFitTouchesNoDeviceMemory) {
  const TempFile file = Write();
  const std::unique_ptr<Engine> engine = MakeEngine({.cap_bytes = 1000});
  const Result<ModelId> model = engine->Load(file.path().string(), "", {}, nullptr);
  EXPECT_EQ(model.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(model.status().reason(), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(engine->Memory()[0].allocations, 0u);
  EXPECT_EQ(engine->Memory()[0].reserved_bytes, 0u);
  EXPECT_EQ(engine->Memory()[0].available_bytes, 1000u);
  EXPECT_EQ(engine->Memory()[0].bound, AdmissionBound::kCap);
}

TEST_F(EngineTest, InspectingReservesNothing) {
  ASSERT_TRUE(engine_->Unload(model_).ok());
  LoadOptions options;
  options.context_length = 64;
  options.max_sequences = 2;
  const ModelFileInfo info = engine_->Inspect(Path(), "cpu", options).value();
  EXPECT_EQ(info.context_length, 64u);
  EXPECT_EQ(Memory().reserved_bytes, 0u);
  const ModelId model = engine_->Load(Path(), "cpu", options, nullptr).value();
  EXPECT_EQ(Memory().allocated_bytes, info.total_bytes());
  EXPECT_EQ(engine_->Unload(model).value(), info.total_bytes());
}

TEST_F(EngineTest, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(engine_->Load("/nowhere/model.gguf", "", {}, nullptr).status().reason(),
            "MODEL_NOT_FOUND");
  const Status device = engine_->Inspect(Path(), "hip:7", {}).status();
  EXPECT_EQ(device.reason(), "DEVICE_NOT_FOUND");
  EXPECT_THAT(std::string(device.message()), HasSubstr("hip:7"));
  EXPECT_EQ(engine_->GetModel(999).status().reason(), "MODEL_NOT_LOADED");
  EXPECT_EQ(engine_->Tokenize(999, "x", true, true).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(engine_->Submit(999, Greedy({1}, 1), std::make_shared<CollectingSink>()).reason(),
            "SESSION_NOT_FOUND");
  engine_->Cancel(999);
  engine_->CloseSession(999);
}

TEST_F(EngineTest, TurnsTextIntoTokensAndBack) {
  const std::vector<TokenId> tokens =
      engine_->Tokenize(model_, "hello world", false, false).value();
  EXPECT_EQ(engine_->Detokenize(model_, tokens, false).value(), "hello world");
  EXPECT_EQ(engine_->TokenText(model_, tokens[0]).value(), "hello");
  const Status status = engine_->Detokenize(model_, {3, 100000}, false).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "INVALID_REQUEST");
  EXPECT_EQ(engine_->TokenText(model_, -1).status().reason(), "INVALID_REQUEST");
}

TEST(EngineDeviceTest, ALostDeviceEndsTheTurnsAndTheEngineLives) {
  const TempFile file = WriteLongContext();
  EngineOptions options;
  auto owned = std::make_unique<testing::FailingDevice>(CreateCpuDevice({}).value());
  testing::FailingDevice& device = *owned;
  options.devices.push_back(std::move(owned));
  const std::unique_ptr<Engine> engine = Engine::Create(std::move(options)).value();
  const ModelId model = engine->Load(file.path().string(), "", LongContext(), nullptr).value();
  GenerateRequest request = Greedy(TestTokens("hello"), 0);
  request.ignore_end = true;
  const auto sink = testing::Submit(*engine, engine->OpenSession(model).value(), request);
  sink->WaitForTokens(2);
  device.LoseDevice();
  const Answer answer = sink->Wait();
  EXPECT_EQ(answer.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(answer.status.reason(), "DEVICE_LOST");
  EXPECT_EQ(testing::Generate(*engine, model, request).status.reason(), "DEVICE_LOST");
  EXPECT_TRUE(engine->Unload(model).ok());
  EXPECT_EQ(engine->Memory()[0].allocations, 0u);
}

TEST(EngineCreateTest, RefusesWhatIsNoSetOfDevices) {
  EXPECT_EQ(Engine::Create({}).status().code(), StatusCode::kInvalidArgument);
  EngineOptions twice;
  twice.devices.push_back(CreateCpuDevice({}).value());
  twice.devices.push_back(CreateCpuDevice({}).value());
  EXPECT_EQ(Engine::Create(std::move(twice)).status().code(), StatusCode::kInvalidArgument);
  EngineOptions fraction;
  fraction.devices.push_back(CreateCpuDevice({}).value());
  fraction.policy.free_fraction = 1.5;
  EXPECT_EQ(Engine::Create(std::move(fraction)).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace forge
