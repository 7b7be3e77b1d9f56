#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "daemon/rpc/call_errors.h"
#include "daemon/rpc/status_map.h"
#include "daemon/telemetry/metrics.h"
#include "tests/daemon/generate_fixture.h"

// Calls in which the host's memory ends: at the allocations of one thread, which a test arms. And
// what calls leave behind.
namespace forge {
namespace {

std::atomic<int64_t> live_bytes{0};
thread_local int64_t allocations_left = 0;  // of them the last one fails; 0: none does

bool MayAllocate() { return allocations_left == 0 || --allocations_left > 0; }

}  // namespace
}  // namespace forge

// They take the place of the C++ library's in this program. Not inlined: g++ 12 would see free() of
// what it does not see to be malloc()'s.
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

using testing::GenerateTest;
using testing::OpenStream;
using testing::TextTurn;

class CallMemoryTest : public GenerateTest {
 protected:
  // Every end of a turn or reading is told again and again, without one allocation more each time.
  void FailEveryFinish() {
    daemon_.engine().SetAroundFinish([this](const std::function<void()>& finish) {
      for (int64_t n = 1;; ++n) {
        allocations_left = n;
        bool is_told = true;
        try {
          finish();
        } catch (const std::bad_alloc&) {
          is_told = false;
        }
        allocations_left = 0;
        if (is_told) return;
        ++n_failed_;
      }
    });
  }

  std::atomic<int> n_failed_ = 0;
};

TEST_F(CallMemoryTest, ATurnFinishesOnceWhereverTheMemoryEnds) {
  FailEveryFinish();
  OpenStream open(*stub_);
  for (int turn = 0; turn < 3; ++turn) {
    v1::GenerateRequest request;
    request.mutable_turn()->set_model("tiny");
    v1::ChatMessages& chat = *request.mutable_turn()->mutable_chat();
    chat.add_messages()->set_role("user");
    chat.mutable_messages(0)->set_content("hello");
    chat.add_tools()->set_name("get_weather");
    chat.mutable_tools(0)->set_parameters_json("{}");
    open.stream->Write(request);
  }
  open.stream->WritesDone();
  std::vector<v1::GenerateResponse::Finished> finished;
  v1::GenerateResponse response;
  while (open.stream->Read(&response))
    if (response.has_finished()) finished.push_back(response.finished());
  EXPECT_TRUE(open.stream->Finish().ok());
  ASSERT_EQ(finished.size(), 3u);
  for (const v1::GenerateResponse::Finished& one : finished) EXPECT_EQ(one.tool_calls_size(), 1);
  EXPECT_GT(n_failed_, 3 * 5);
}

TEST_F(CallMemoryTest, AScoreFinishesOnceWhereverTheMemoryEnds) {
  FailEveryFinish();
  for (const char* text : {"a", "abc"}) {
    v1::ScoreRequest request;
    request.set_model("tiny");
    request.mutable_input()->mutable_text()->set_text(text);
    grpc::ClientContext context;
    const auto stream = stub_->Score(&context, request);
    size_t n_scores = 0, n_finished = 0;
    v1::ScoreResponse response;
    while (stream->Read(&response)) {
      n_scores += static_cast<size_t>(response.scores().scores_size());
      n_finished += response.has_finished();
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_EQ(n_finished, 1u);
    EXPECT_EQ(n_scores, std::string(text).size() + 1) << "with the token before the text";
  }
  EXPECT_GT(n_failed_, 4);
}

TEST_F(CallMemoryTest, AnEmbeddingIsWholeWhereverTheMemoryEnds) {
  FailEveryFinish();
  v1::EmbedRequest request;
  request.set_model("tiny");
  request.add_inputs()->mutable_text()->set_text("abc");
  request.add_inputs()->mutable_text()->set_text("de");
  grpc::ClientContext context;
  const auto stream = stub_->Embed(&context, request);
  int n_values = 0;
  v1::EmbedResponse response;
  while (stream->Read(&response)) n_values += response.values_size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(n_values, 4);
  EXPECT_GT(n_failed_, 2);
}

TEST_F(CallMemoryTest, ACallWithoutMemoryFailsAlone) {
  daemon_.engine().SetMemoryEnds(true);
  EXPECT_ERROR(StatusOf(TextTurn("tiny", "a")), RESOURCE_EXHAUSTED, "HOST_MEMORY_EXHAUSTED");
  {
    v1::TokenizeRequest request;
    request.set_model("tiny");
    request.set_text("abc");
    v1::TokenizeResponse response;
    grpc::ClientContext context;
    EXPECT_ERROR(stub_->Tokenize(&context, request, &response), RESOURCE_EXHAUSTED,
                 "HOST_MEMORY_EXHAUSTED");
  }
  {
    v1::ScoreRequest request;
    request.set_model("tiny");
    request.mutable_input()->mutable_text()->set_text("abc");
    grpc::ClientContext context;
    const auto stream = stub_->Score(&context, request);
    v1::ScoreResponse response;
    while (stream->Read(&response)) continue;
    EXPECT_ERROR(stream->Finish(), RESOURCE_EXHAUSTED, "HOST_MEMORY_EXHAUSTED");
  }
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
  daemon_.engine().SetMemoryEnds(false);
  EXPECT_TRUE(StatusOf(TextTurn("tiny", "a")).ok());
}

TEST_F(CallMemoryTest, AnswersThatFindNoMemoryFailAlone) {
  daemon_.engine().SetAnswerLength(1'000'000);
  daemon_.engine().SetTokenDelay(std::chrono::milliseconds(1));
  OpenStream open(*stub_);
  v1::GenerateRequest request = TextTurn("tiny", "a");
  request.mutable_turn()->set_top_logprobs(2);  // whose texts are looked up on the writers' thread
  open.stream->Write(request);
  v1::GenerateResponse response;
  while (!response.has_token()) ASSERT_TRUE(open.stream->Read(&response));
  daemon_.engine().SetMemoryEnds(true);
  EXPECT_ERROR(open.End(), RESOURCE_EXHAUSTED, "HOST_MEMORY_EXHAUSTED");
  // It is resident already, so that only the answer asks the engine.
  EXPECT_ERROR(testing::RunLoad(*stub_, "tiny").status, RESOURCE_EXHAUSTED,
               "HOST_MEMORY_EXHAUSTED");
  daemon_.engine().SetMemoryEnds(false);
  daemon_.engine().SetAnswerLength(3);
  EXPECT_TRUE(testing::RunLoad(*stub_, "tiny").ready);
  EXPECT_TRUE(StatusOf(TextTurn("tiny", "a")).ok());
}

// What the metrics are asked for by name when the memory ends, they must not tell as half of it.
TEST(MetricsMemoryTest, AModelThatFoundNoMemoryIsNotCounted) {
  int n_failed = 0;
  for (int64_t n = 1;; ++n) {
    Metrics metrics({"QUEUE_FULL"});
    bool is_there = true;
    allocations_left = n;
    try {
      metrics.ForModel("a model of a long name");
    } catch (const std::bad_alloc&) {
      is_there = false;
    }
    allocations_left = 0;
    EXPECT_FALSE(metrics.Collect().empty());
    if (is_there) break;
    ++n_failed;
  }
  EXPECT_GT(n_failed, 3);
}

TEST(MetricsMemoryTest, ACallCountsItsEndWhereverTheMemoryEnds) {
  const grpc::Status end = ToGrpc(ResourceExhausted("full").WithReason("QUEUE_FULL"));
  const auto count_of = [](const Metrics& metrics) {
    double count = 0;
    for (const prometheus::MetricFamily& family : metrics.Collect())
      if (family.name == "forge_rejected_total")
        for (const prometheus::ClientMetric& metric : family.metric) count += metric.counter.value;
    return count;
  };
  for (int64_t n = 1; n < 30; ++n) {
    Metrics metrics({"QUEUE_FULL"});
    allocations_left = n;
    EXPECT_NO_THROW(CountEnd(metrics, end)) << n;
    allocations_left = 0;
    EXPECT_EQ(count_of(metrics), 1) << n;
  }
}

class LoadingModelTest : public ::testing::Test {
 protected:
  testing::TestDaemon daemon_{[](Config& config) { config.residency.load_on_demand = true; }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(LoadingModelTest, ATurnThatWasCancelledLeavesNothingBehindWhileItsModelLoads) {
  daemon_.AddModel("tiny");
  daemon_.engine().HoldLoads();
  OpenStream open(*stub_);
  const v1::GenerateRequest turn = TextTurn("tiny", std::string(100'000, 'a'));
  const auto run = [&](int n_turns) {
    for (int i = 0; i < n_turns; ++i) {
      open.stream->Write(turn);
      v1::GenerateResponse response;
      // It waits for the load once progress is told.
      while (open.stream->Read(&response) && !response.has_load_progress()) continue;
      open.stream->Write(testing::CancelTurn());
      ASSERT_TRUE(testing::ReadTurn(*open.stream).finished);
    }
  };
  run(20);
  const int64_t before = live_bytes;
  run(100);
  EXPECT_LT(live_bytes - before, 100 * 50'000);
  daemon_.engine().ReleaseLoads();
  open.stream->Write(TextTurn("tiny", "a"));
  EXPECT_EQ(testing::ReadTurn(*open.stream).finished->reason(), v1::FINISH_REASON_END_OF_TEXT);
}

}  // namespace
}  // namespace forge
