#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/daemon/generate_fixture.h"

// Exceptions where nobody above would catch them.
namespace forge::testing {
namespace {

class ExceptionsTest : public ::testing::Test {
 protected:
  ExceptionsTest() { daemon_.AddModel("tiny"); }

  grpc::Status Generate() {
    OpenStream open(*stub_);
    open.stream->Write(TextTurn("tiny", "a"));
    open.stream->WritesDone();
    return open.End();
  }
  grpc::Status Unload() {
    grpc::ClientContext context;
    v1::UnloadModelRequest request;
    request.set_model("tiny");
    v1::UnloadModelResponse response;
    return stub_->UnloadModel(&context, request, &response);
  }
  static void Throw() { throw std::runtime_error("a fault of the test"); }

  TestDaemon daemon_{[](Config& config) { config.residency.load_on_demand = true; }};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(ExceptionsTest, OneInALoadFailsItForAllWhoJoined) {
  std::promise<void> may_throw;
  std::shared_future<void> gate = may_throw.get_future().share();
  daemon_.engine().SetBeforeLoad([gate] {
    gate.wait();
    Throw();
  });
  std::vector<std::future<LoadOutcome>> loads;
  for (int i = 0; i < 3; ++i)
    loads.push_back(
        std::async(std::launch::async, [this] { return RunLoad(*daemon_.NewStub(), "tiny"); }));
  while (daemon_.context().stream_admission.count() < 3) std::this_thread::yield();
  may_throw.set_value();
  for (std::future<LoadOutcome>& load : loads) {
    const grpc::Status status = load.get().status;
    EXPECT_ERROR(status, INTERNAL, "INTERNAL");
    EXPECT_NE(status.error_message().find("a fault of the test"), std::string::npos);
  }
  daemon_.engine().SetBeforeLoad(nullptr);
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
}

TEST_F(ExceptionsTest, OneWhereAHeaderIsReadFailsTheLoad) {
  daemon_.engine().SetBeforeInspect(Throw);
  EXPECT_ERROR(RunLoad(*stub_, "tiny").status, INTERNAL, "INTERNAL");
  EXPECT_ERROR(Generate(), UNAVAILABLE, "MODEL_COOLING_DOWN");
  daemon_.engine().SetBeforeInspect(nullptr);
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  EXPECT_TRUE(Generate().ok());
}

TEST_F(ExceptionsTest, AThreadThatTheSystemRefusesIsALimit) {
  daemon_.engine().SetBeforeLoad([] {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  });
  EXPECT_ERROR(RunLoad(*stub_, "tiny").status, RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED");
}

TEST_F(ExceptionsTest, OneInAnUnloadIsToldAndTheModelMayBeLoadedAgain) {
  ASSERT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  daemon_.engine().SetBeforeUnload(Throw);
  EXPECT_ERROR(Unload(), INTERNAL, "INTERNAL");
  daemon_.engine().SetBeforeUnload(nullptr);
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
}

TEST_F(ExceptionsTest, OneInAHandlerLeavesTheOthers) {
  daemon_.residency().Ping(Throw);
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  EXPECT_TRUE(Generate().ok());
}

TEST_F(ExceptionsTest, OneInATurnEndsIt) {
  ASSERT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  daemon_.engine().SetBeforeSubmit(Throw);
  EXPECT_ERROR(Generate(), INTERNAL, "INTERNAL");
  daemon_.engine().SetBeforeSubmit(nullptr);
  EXPECT_TRUE(Generate().ok());
  EXPECT_TRUE(daemon_.engine().WaitForSessions(0));
}

TEST_F(ExceptionsTest, AListenerThatThrowsMissesTheEventAlone) {
  std::atomic<int> n_events = 0;
  const auto throws = daemon_.residency().journal().Subscribe(0, [](const auto&) { Throw(); });
  const auto counts = daemon_.residency().journal().Subscribe(0, [&](const auto&) { ++n_events; });
  EXPECT_TRUE(RunLoad(*stub_, "tiny").status.ok());
  EXPECT_GT(n_events, 1);
}

}  // namespace
}  // namespace forge::testing
