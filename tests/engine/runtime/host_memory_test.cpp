#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "engine/runtime/engine.h"
#include "tests/engine/runtime/collecting_sink.h"
#include "tests/engine/runtime/fake_model.h"
#include "tests/support/fake_device.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

// Requests in which the host's memory ends at any of their allocations, and turns in which it ends
// at any of the executor's.
namespace forge {
namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> allocations{0};
std::atomic<int64_t> failing_allocation{0};  // counted from 1; 0: none
enum class Counted { kAll, kTestThread, kOtherThreads };
std::atomic<Counted> counted{Counted::kAll};
thread_local bool is_test_thread = false;

bool MayAllocate() {
  const Counted other = is_test_thread ? Counted::kOtherThreads : Counted::kTestThread;
  if (counted == other) return true;
  return ++allocations != failing_allocation;
}

}  // namespace
}  // namespace forge

// They take the place of the C++ library's in this program. All forms but the aligned ones, since a
// sanitizer's own do not call each other. Not inlined: g++ 12 would see free() of what it does not
// see to be malloc()'s.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  if (!forge::MayAllocate()) return nullptr;
  void* const data = std::malloc(std::max<size_t>(bytes, 1));
  forge::live_bytes += static_cast<int64_t>(malloc_usable_size(data));
  return data;
}
void* operator new[](size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
void* operator new(size_t bytes) {
  void* const data = operator new(bytes, std::nothrow);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void operator delete(void* data) noexcept {
  forge::live_bytes -= static_cast<int64_t>(malloc_usable_size(data));
  std::free(data);
}
[[gnu::noinline]] void operator delete(void* data, size_t) noexcept { operator delete(data); }
[[gnu::noinline]] void operator delete[](void* data) noexcept { operator delete(data); }
[[gnu::noinline]] void operator delete[](void* data, size_t) noexcept { operator delete(data); }

namespace forge {
namespace {

using testing::FakeDevice;
using testing::Greedy;
using testing::TempFile;
using testing::TestTokens;

// Keeps nothing of a turn.
class DiscardingSink final : public GenerationSink {
 public:
  void OnQueued(uint32_t) override {}
  void OnPromptProgress(uint32_t, uint32_t) override {}
  void OnToken(TokenEvent) override {
    if (!std::exchange(told_, true)) has_token.set_value();
  }
  void OnFinished(const Status&, FinishReason, std::string, const GenerateUsage&) override {}

  std::promise<void> has_token;

 private:
  bool told_ = false;
};

class HostMemoryTest : public ::testing::Test {
 protected:
  HostMemoryTest() {
    auto device = FakeDevice::Create(uint64_t{256} << 20).value();
    EngineOptions options;
    options.devices.push_back(std::move(device));
    engine_ = Engine::Create(std::move(options)).value();
    load_options_.context_length = 64;
    is_test_thread = true;
  }
  ~HostMemoryTest() override {
    failing_allocation = 0;
    counted = Counted::kAll;
  }

  // Runs `request` with each allocation failing in turn, and `check` after each with its status.
  template <typename Request, typename Check>
  void FailEach(Request request, Check check, int64_t min_allocations = 100) {
    ASSERT_TRUE(request().ok());  // what is made once is made by now
    allocations = 0;
    ASSERT_TRUE(request().ok());
    const int64_t n_allocations = allocations;
    ASSERT_GE(n_allocations, min_allocations);
    int64_t n_told = 0;
    for (int64_t k = 1; k <= n_allocations; ++k) {
      SCOPED_TRACE("allocation " + std::to_string(k) + " of " + std::to_string(n_allocations));
      allocations = 0;
      failing_allocation = k;
      const Status status = request();
      failing_allocation = 0;
      if (status.reason() == "HOST_MEMORY_EXHAUSTED") ++n_told;
      check();
    }
    // The others are of libraries that do without, or that call it something else, as streams do.
    EXPECT_GE(n_told, n_allocations * 8 / 10);
  }

  const TempFile file_{testing::MakeTinyModel({}).Build()};
  const std::string path_ = file_.path().string();
  const int64_t n_vocab_ = testing::TinyVocabularySize(testing::TinyVocabulary::kBpe);
  LoadOptions load_options_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(HostMemoryTest, ALoadMayMeetItsEndAnywhere) {
  const auto load = [&] {
    const Result<ModelId> model = engine_->Load(path_, "", load_options_, nullptr);
    const int64_t failing = failing_allocation.exchange(0);
    const Status status = model.ok() ? engine_->Unload(*model).status() : model.status();
    failing_allocation = failing;
    return status;
  };
  FailEach(load, [&] {
    const DeviceMemory memory = engine_->Memory().front();
    EXPECT_EQ(memory.reserved_bytes, 0u);
    EXPECT_EQ(memory.allocations, 0u);
    EXPECT_TRUE(engine_->ListModels().empty());
  });
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  const auto answer = testing::Generate(*engine_, model, Greedy(TestTokens("hello"), 3));
  EXPECT_TRUE(answer.status.ok()) << answer.status.ToString();
}

// An unload throws before it begins, and can be tried again.
TEST_F(HostMemoryTest, AnUnloadMayMeetItsEndAnywhere) {
  counted = Counted::kTestThread;
  int n_thrown = 0;
  for (int64_t k = 1; k < 20; ++k) {
    const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
    const auto sink = testing::Submit(*engine_, engine_->OpenSession(model).value(),
                                      Greedy(TestTokens("hello"), 0));
    allocations = 0;
    failing_allocation = k;
    try {
      EXPECT_TRUE(engine_->Unload(model).ok());
    } catch (const std::bad_alloc&) {
      ++n_thrown;
    }
    failing_allocation = 0;
    const bool is_there = engine_->GetModel(model).ok();
    EXPECT_EQ(is_there, engine_->Unload(model).ok());
    EXPECT_EQ(sink->Wait().n_finished, 1);
    EXPECT_EQ(engine_->Memory().front().reserved_bytes, 0u);
    EXPECT_EQ(engine_->Memory().front().allocations, 0u);
  }
  EXPECT_GT(n_thrown, 0);
}

TEST_F(HostMemoryTest, AnInspectionMayMeetItsEndAnywhere) {
  FailEach([&] { return engine_->Inspect(path_, "", load_options_).status(); }, [] {});
}

TEST_F(HostMemoryTest, ATextMayMeetItsEndAnywhere) {
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  const std::string text(2000, 'a');
  const std::vector<TokenId> tokens = engine_->Tokenize(model, text, true, true).value();
  FailEach([&] { return engine_->Tokenize(model, text, true, true).status(); }, [] {},
           /*min_allocations=*/3);
  FailEach([&] { return engine_->Detokenize(model, tokens, true).status(); }, [] {},
           /*min_allocations=*/3);
  const Conversation conversation = {{{"user", text}}};
  FailEach([&] { return engine_->RenderChat(model, conversation, std::nullopt).status(); }, [] {});
}

TEST_F(HostMemoryTest, ASessionMayMeetItsEndAnywhere) {
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  FailEach(
      [&] {
        const Result<SessionId> session = engine_->OpenSession(model);
        if (session.ok()) engine_->CloseSession(*session);
        return session.status();
      },
      [&] { EXPECT_TRUE(engine_->GetModel(model)->sequences.empty()); }, /*min_allocations=*/3);
}

// Only what Submit itself allocates; the executor's thread has a test of its own.
TEST_F(HostMemoryTest, ASubmissionMayMeetItsEndAnywhere) {
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  const SessionId session = engine_->OpenSession(model).value();
  GenerateRequest request = Greedy(TestTokens("hello"), 2);
  request.keep_tokens = 0;
  counted = Counted::kTestThread;
  int n = 0;
  // A turn that was refused has left nothing behind, or the next would find the session busy.
  FailEach(
      [&] {
        is_test_thread = false;
        // Another grammar each time: compiled ones are kept.
        request.constraint = {.text =
                                  "root ::= [a-z]+ | [0-9]{1,20} \"" + std::to_string(++n) + "\""};
        const auto sink = std::make_shared<testing::CollectingSink>();
        GenerateRequest turn = request;
        is_test_thread = true;
        const Status status = engine_->Submit(session, std::move(turn), sink);
        is_test_thread = false;
        EXPECT_TRUE(!status.ok() || sink->Wait().status.ok());
        is_test_thread = true;
        return status;
      },
      [] {});
}

// Every kind of turn, each beside one that goes on and one that waits.
TEST_F(HostMemoryTest, AStepMayMeetItsEndAnywhere) {
  load_options_.max_sequences = 2;
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  const auto generate = [&](GenerateRequest request) {
    return testing::Generate(*engine_, model, std::move(request));
  };
  GenerateRequest sampled = Greedy(TestTokens("hello"), 3);
  sampled.sampling.temperature = 1.0f;
  sampled.sampling.repetition_penalty = 1.1f;
  sampled.sampling.top_p = 0.9f;
  sampled.top_logprobs = 2;
  const std::vector<TokenId> expected = generate(sampled).tokens;
  counted = Counted::kOtherThreads;
  uint32_t n = 0;
  FailEach(
      [&] {
        // Another beginning each time: what a turn found in the cache it would not allocate for.
        std::vector<TokenId> prompt(40, static_cast<TokenId>(++n % 200));
        const SessionId sessions[] = {engine_->OpenSession(model).value(),
                                      engine_->OpenSession(model).value(),
                                      engine_->OpenSession(model).value()};
        std::vector<std::shared_ptr<testing::CollectingSink>> sinks;
        for (const SessionId session : sessions) {
          GenerateRequest request = sampled;
          request.prompt = prompt;
          sinks.push_back(testing::Submit(*engine_, session, std::move(request)));
        }
        Status first;
        for (const auto& sink : sinks) {
          const testing::Answer answer = sink->Wait();
          EXPECT_EQ(answer.n_finished, 1);
          if (first.ok()) first = answer.status;
        }
        for (const SessionId session : sessions) engine_->CloseSession(session);
        return first;
      },
      [&] { EXPECT_EQ(generate(sampled).tokens, expected); });
  EXPECT_TRUE(engine_->GetModel(model)->sequences.empty());
}

// A grammar that was at work when the memory ended is not kept for the next turn with its text.
TEST_F(HostMemoryTest, AConstrainedAnswerMayMeetItsEndAnywhere) {
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  uint32_t n = 0;
  const auto generate = [&] {
    GenerateRequest request = Greedy(TestTokens("hello"), 12);
    // Comments tell grammars apart that say the same.
    request.constraint = {.text = "# " + std::to_string(n) + R"(
        root ::= (word | [0-9]{1,4} | "é")+
        word ::= "a" [b-y] word? "z")"};
    return testing::Generate(*engine_, model, std::move(request));
  };
  const std::vector<TokenId> expected = generate().tokens;
  ASSERT_EQ(expected.size(), 12u);
  counted = Counted::kOtherThreads;
  FailEach(
      [&] {
        ++n;
        return generate().status;
      },
      [&] { EXPECT_EQ(generate().tokens, expected); });
}

// What the plan does not count must not grow with the sequences.
TEST_F(HostMemoryTest, TheLogitsOfManySequencesTakeNoneOfIt) {
  const auto bytes_of_load = [&](uint32_t max_sequences) {
    load_options_.max_sequences = max_sequences;
    const int64_t before = live_bytes;
    const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
    const int64_t bytes = live_bytes - before;
    EXPECT_EQ(engine_->GetModel(model)->slots_total, max_sequences);
    EXPECT_TRUE(engine_->Unload(model).ok());
    return bytes;
  };
  const int64_t logits_bytes = int64_t{256} * n_vocab_ * 4;
  const int64_t one = bytes_of_load(1);
  EXPECT_LT(bytes_of_load(256) - one, logits_bytes * 3 / 4);
}

// As many turns run as the model has slots, and each has the whole vocabulary to choose from.
TEST_F(HostMemoryTest, TurnsShareWhatChoosingATokenTakes) {
  constexpr uint32_t kTurns = 32;
  load_options_.max_sequences = kTurns + 1;
  load_options_.context_length = 512;
  const ModelId model = engine_->Load(path_, "", load_options_, nullptr).value();
  GenerateRequest request = Greedy(TestTokens("hello"), 0);
  request.ignore_end = true;
  request.sampling.temperature = 1.0f;
  request.sampling.repetition_penalty = 1.1f;
  const auto run = [&](uint32_t n_turns) {
    std::vector<std::shared_ptr<DiscardingSink>> sinks;
    for (uint32_t i = 0; i < n_turns; ++i) {
      sinks.push_back(std::make_shared<DiscardingSink>());
      const SessionId session = engine_->OpenSession(model).value();
      EXPECT_TRUE(engine_->Submit(session, request, sinks.back()).ok());
    }
    for (const auto& sink : sinks) sink->has_token.get_future().wait();
  };
  run(1);
  const int64_t with_one = live_bytes;
  run(kTurns);
  EXPECT_LT((live_bytes - with_one) / kTurns, n_vocab_ * 20);
  EXPECT_TRUE(engine_->Unload(model).ok());
}

TEST_F(HostMemoryTest, AReportMayMeetItsEndAnywhere) {
  FailEach([&] { return engine_->Report(path_, "", load_options_).status(); }, [] {});
}

}  // namespace
}  // namespace forge
