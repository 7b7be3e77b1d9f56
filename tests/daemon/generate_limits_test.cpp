#include <gtest/gtest.h>

#include "tests/daemon/generate_fixture.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class GenerateLimitsTest : public GenerateTest {
 protected:
  GenerateLimitsTest()
      : GenerateTest([](Config& config) {
          config.limits.max_streams = 2;
          config.limits.generate_deadline = milliseconds(200);
        }) {}
};

TEST_F(GenerateLimitsTest, RefusesStreamsPastTheLimitAndTakesThemLater) {
  daemon_.engine().SetAnswerLength(3);
  // The call that loaded the model may still hold its place: its client hears of the end first.
  while (daemon_.context().stream_admission.count() > 0) std::this_thread::yield();
  auto first = std::make_unique<OpenStream>(*stub_);
  auto second = std::make_unique<OpenStream>(*stub_);
  for (OpenStream* open : {first.get(), second.get()}) {
    open->stream->Write(TextTurn("tiny", "a"));
    ReadTurn(*open->stream);
  }
  const grpc::Status status = StatusOf(TextTurn("tiny", "a"));
  EXPECT_ERROR(status, RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("limit"), "2");
  first->stream->WritesDone();
  EXPECT_TRUE(first->End().ok());
  while (daemon_.context().stream_admission.count() > 1) std::this_thread::yield();
  EXPECT_TRUE(StatusOf(TextTurn("tiny", "a")).ok());
}

TEST_F(GenerateLimitsTest, TurnWithoutAClientDeadlineGetsTheServers) {
  daemon_.engine().SetAnswerLength(1'000'000);
  const grpc::Status status = StatusOf(TextTurn("tiny", "a"));
  EXPECT_ERROR(status, DEADLINE_EXCEEDED, "TURN_TOO_SLOW");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("limitMs"), "200");
}

TEST_F(GenerateLimitsTest, ClientDeadlineReplacesTheServers) {
  daemon_.engine().SetAnswerLength(1'000'000);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + milliseconds(600));
  const auto start = steady_clock::now();
  const auto stream = stub_->Generate(&context);
  stream->Write(TextTurn("tiny", "a"));
  ReadTurn(*stream);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_GE(steady_clock::now() - start, milliseconds(500));
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

class SlowReaderTest : public GenerateTest {
 protected:
  SlowReaderTest()
      : GenerateTest([](Config& config) { config.limits.stream_buffer_bytes = 64 << 10; }) {}
};

TEST_F(SlowReaderTest, IsCutOffWhenItFallsTooFarBehind) {
  daemon_.engine().SetAnswerLength(1'000'000);
  daemon_.engine().SetTokenDelay(std::chrono::microseconds(1));
  daemon_.engine().SetTokenText(std::string(4000, 'x'));
  OpenStream open(*stub_);
  open.stream->Write(TextTurn("tiny", "a"));
  v1::GenerateResponse response;
  ASSERT_TRUE(open.stream->Read(&response));
  // Nothing more is read: the session ends nevertheless, long before the turn would.
  ASSERT_TRUE(daemon_.engine().WaitForSessions(0));
  const grpc::Status status = open.End();
  EXPECT_ERROR(status, RESOURCE_EXHAUSTED, "SLOW_READER");
}

class StalledReaderTest : public GenerateTest {
 protected:
  StalledReaderTest()
      : GenerateTest([](Config& config) {
          config.limits.stream_buffer_bytes = 64 << 20;
          config.limits.stalled_reader_timeout = milliseconds(300);
        }) {}
};

TEST_F(StalledReaderTest, IsCutOffAndItsCallEnds) {
  daemon_.engine().SetAnswerLength(1'000'000);
  daemon_.engine().SetTokenDelay(std::chrono::milliseconds(1));
  // Large enough to fill the connection's window, slow enough not to fill the stream's buffer.
  daemon_.engine().SetTokenText(std::string(30'000, 'x'));
  OpenStream open(*stub_);
  v1::GenerateRequest request = TextTurn("tiny", "a");
  open.stream->Write(request);
  ASSERT_TRUE(daemon_.engine().WaitForSessions(1));
  ASSERT_TRUE(daemon_.engine().WaitForSessions(0));
  // The call must end although its client never reads again.
  const auto deadline = steady_clock::now() + std::chrono::seconds(5);
  while (daemon_.context().stream_admission.count() > 0 && steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(daemon_.context().stream_admission.count(), 0u);
}

}  // namespace
}  // namespace forge::testing
