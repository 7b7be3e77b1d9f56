#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

TEST(WatchMemoryTest, ShowsTheLedgerAtOnceAndThenAgain) {
  TestDaemon daemon;
  daemon.AddModel("tiny", 1000);
  const auto stub = daemon.NewStub();
  grpc::ClientContext context;
  v1::WatchMemoryRequest request;
  request.mutable_interval()->set_nanos(250'000'000);
  const auto stream = stub->WatchMemory(&context, request);
  v1::WatchMemoryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_EQ(response.devices_size(), 1);
  EXPECT_EQ(response.devices(0).reserved_bytes(), 0);
  EXPECT_EQ(response.devices(0).others_bytes(), 0);
  EXPECT_GT(response.time().seconds(), 0);
  daemon.LoadModel("tiny");
  do ASSERT_TRUE(stream->Read(&response));
  while (response.devices(0).models_size() == 0);
  EXPECT_EQ(response.devices(0).models(0).model(), "tiny");
  EXPECT_EQ(response.devices(0).models(0).memory().total_bytes(),
            response.devices(0).reserved_bytes());
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(WatchMemoryTest, AsksOnceHoweverLongTheWorkersAreBusy) {
  TestDaemon daemon;
  const auto stub = daemon.NewStub();
  grpc::ClientContext context;
  v1::WatchMemoryRequest request;
  request.mutable_interval()->set_nanos(250'000'000);
  const auto stream = stub->WatchMemory(&context, request);
  v1::WatchMemoryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  std::promise<void> is_over;
  const std::shared_future<void> over = is_over.get_future().share();
  for (size_t i = 0; i < ServiceContext::kWorkers; ++i)
    boost::asio::post(daemon.context().workers, [over] { over.wait(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(2'000));  // eight intervals
  const int n_before = daemon.engine().n_memory_reads();
  is_over.set_value();
  ASSERT_TRUE(stream->Read(&response));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LE(daemon.engine().n_memory_reads() - n_before, 2);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(WatchMemoryTest, RefusesIntervalsOutOfRange) {
  TestDaemon daemon;
  const auto stub = daemon.NewStub();
  for (const int64_t milliseconds : {-1000, 0, 249, 3'600'001, 2'000'000'000}) {
    grpc::ClientContext context;
    v1::WatchMemoryRequest request;
    request.mutable_interval()->set_seconds(milliseconds / 1000);
    request.mutable_interval()->set_nanos(static_cast<int>(milliseconds % 1000) * 1'000'000);
    v1::WatchMemoryResponse response;
    const auto stream = stub->WatchMemory(&context, request);
    EXPECT_FALSE(stream->Read(&response)) << milliseconds;
    EXPECT_ERROR(stream->Finish(), INVALID_ARGUMENT, "INVALID_REQUEST");
  }
}

TEST(WatchMemoryTest, EndsWhenTheDaemonDrains) {
  TestDaemon daemon;
  const auto stub = daemon.NewStub();
  grpc::ClientContext context;
  const auto stream = stub->WatchMemory(&context, {});
  v1::WatchMemoryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  daemon.context().running_calls.BeginDrain();
  while (stream->Read(&response)) continue;
  EXPECT_ERROR(stream->Finish(), UNAVAILABLE, "SHUTTING_DOWN");
}

}  // namespace
}  // namespace forge::testing
