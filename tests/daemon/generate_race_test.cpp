#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "tests/daemon/generate_fixture.h"

// What happens between two threads of a Generate stream where one of them is late.
namespace forge::testing {
namespace {

using std::chrono::milliseconds;

using GenerateRaceTest = GenerateTest;

v1::GenerateRequest ShortTurn(uint32_t max_tokens) {
  v1::GenerateRequest request = TextTurn("tiny", "a");
  request.mutable_turn()->set_max_tokens(max_tokens);
  return request;
}

// The first turn is cancelled before the engine has it, and has ended by itself when the engine
// hears of that.
TEST_F(GenerateRaceTest, ACancelThatComesLateIsNotForTheNextTurn) {
  daemon_.engine().SetAnswerLength(1'000'000);
  daemon_.engine().SetTokenDelay(milliseconds(20));
  std::promise<void> is_cancelled;
  std::atomic<int> n_submits = 0;
  daemon_.engine().SetBeforeSubmit([&] {
    if (++n_submits == 1) is_cancelled.get_future().wait();
  });
  daemon_.engine().SetBeforeCancel([&] {
    for (int i = 0; i < 500 && n_submits < 2; ++i) std::this_thread::sleep_for(milliseconds(1));
    std::this_thread::sleep_for(milliseconds(20));
  });
  OpenStream open(*stub_);
  open.stream->Write(ShortTurn(1));
  while (n_submits < 1) std::this_thread::yield();
  open.stream->Write(CancelTurn());
  open.stream->Write(ShortTurn(20));
  std::this_thread::sleep_for(milliseconds(100));  // both are read
  is_cancelled.set_value();
  open.stream->WritesDone();
  ASSERT_TRUE(ReadTurn(*open.stream).finished.has_value());
  const TurnOutcome second = ReadTurn(*open.stream);
  ASSERT_TRUE(second.finished.has_value());
  EXPECT_EQ(second.finished->reason(), v1::FINISH_REASON_MAX_TOKENS);
  EXPECT_EQ(second.tokens.size(), 20u);
  EXPECT_TRUE(open.End().ok());
}

class LateCutTest : public GenerateTest {
 protected:
  LateCutTest()
      : GenerateTest([](Config& config) {
          config.limits.stream_buffer_bytes = 40 << 20;
          config.limits.stalled_reader_timeout = std::chrono::minutes(5);  // another cut
        }) {}

  // Until the engine has told as many of this turn, or a minute has passed.
  void AwaitTokens(uint64_t n_tokens) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    const auto n_told = [this] { return daemon_.engine().Progress().steps - n_steps_before_; };
    while (n_told() < n_tokens && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(milliseconds(1));
    EXPECT_GE(n_told(), n_tokens);
  }

  // Of a client that reads nothing until the buffer is full, and then goes on.
  std::vector<int32_t> TokensOfACutTurn() {
    daemon_.engine().SetAnswerLength(1'000'000);
    daemon_.engine().SetTokenDelay(milliseconds(1));
    daemon_.engine().SetTokenText(std::string(1'000'000, 'x'));
    n_steps_before_ = daemon_.engine().Progress().steps;
    OpenStream open(*stub_);
    open.stream->Write(TextTurn("tiny", "a"));
    AwaitTokens(20);  // more than a connection takes in: a write waits for the client
    std::promise<void> is_cut;
    boost::asio::post(daemon_.context().writers, [&] { is_cut.get_future().wait(); });
    AwaitTokens(80);  // more than the buffer takes in
    daemon_.engine().SetTokenDelay(milliseconds(100));
    std::atomic<size_t> n_read = 0;
    std::thread late([&] {  // when nothing more comes, or more than may
      for (size_t before = SIZE_MAX; n_read != before && n_read < 80;) {
        before = n_read;
        std::this_thread::sleep_for(milliseconds(500));
      }
      is_cut.set_value();
    });
    std::vector<int32_t> ids;
    v1::GenerateResponse response;
    while (open.stream->Read(&response)) {
      if (response.has_token()) ids.push_back(response.token().id());
      n_read = ids.size();
    }
    EXPECT_ERROR(open.stream->Finish(), RESOURCE_EXHAUSTED, "SLOW_READER");
    late.join();
    return ids;
  }

 private:
  uint64_t n_steps_before_ = 0;
};

// A client that reads on before it is cut off must not take what it gets for the whole text. How
// much still comes before the cut is up to the threads, and little tells nothing: then once more,
// but not where a round takes half a minute, as under ThreadSanitizer.
TEST_F(LateCutTest, NothingComesBehindATokenThatFoundNoRoom) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  constexpr size_t kTelling = 40;
  size_t n_tokens = 0;
  do {
    const std::vector<int32_t> ids = TokensOfACutTurn();
    n_tokens = ids.size();
    for (size_t i = 1; i < ids.size(); ++i) ASSERT_EQ(ids[i], (ids[i - 1] + 1) % 26) << i;
  } while (n_tokens <= kTelling && std::chrono::steady_clock::now() < deadline);
}

// The engine's executor may be late with what becomes of a session that is closed, and what calls
// count by must be there until then. Only AddressSanitizer is certain to see that it is not.
class LateEngineTest : public ::testing::Test {
 protected:
  LateEngineTest() {
    daemon_.emplace();
    daemon_->AddModel("tiny");
    daemon_->LoadModel("tiny");
    stub_ = daemon_->NewStub();
    daemon_->engine().SetAnswerLength(1'000'000);
    // Longer than it takes to end the service.
    daemon_->engine().SetTokenDelay(milliseconds(600));
  }
  // With all its threads; the engine's are the last.
  void EndDaemon() { daemon_.reset(); }

  std::optional<TestDaemon> daemon_;
  std::unique_ptr<v1::ForgeService::Stub> stub_;
};

TEST_F(LateEngineTest, TellsOfATurnWhenTheServiceIsGone) {
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  while (!response.has_token()) ASSERT_TRUE(open.stream->Read(&response));
  EndDaemon();
  EXPECT_FALSE(open.End().ok());
}

TEST_F(LateEngineTest, TellsOfATextThatIsReadWhenTheServiceIsGone) {
  grpc::ClientContext context;
  v1::ScoreRequest request;
  request.set_model("tiny");
  for (int i = 0; i < 1000; ++i) request.mutable_input()->mutable_tokens()->add_ids(i % 26);
  const auto stream = stub_->Score(&context, request);
  v1::ScoreResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EndDaemon();
  while (stream->Read(&response)) continue;
  EXPECT_FALSE(stream->Finish().ok());
}

class FloodTest : public GenerateTest {
 protected:
  FloodTest()
      : GenerateTest([](Config& config) {
          config.limits.stream_buffer_bytes = 4096;
          config.residency.load_on_demand = true;
        }) {}
};

TEST_F(FloodTest, TurnsThatAreCancelledAsTheyComeTakeNoMoreThanTheirBuffer) {
  daemon_.AddModel("other");
  daemon_.engine().HoldLoads();
  OpenStream open(*stub_);
  const v1::GenerateRequest turn = TextTurn("other", "a"), cancel = CancelTurn();
  bool is_open = true;
  for (int i = 0; i < 30'000 && is_open; ++i)
    is_open = open.stream->Write(turn) && open.stream->Write(cancel);
  open.stream->WritesDone();
  EXPECT_ERROR(open.End(), RESOURCE_EXHAUSTED, "SLOW_READER");
  daemon_.engine().ReleaseLoads();
}

}  // namespace
}  // namespace forge::testing
