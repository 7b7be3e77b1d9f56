// What clients are told while other programs leave too little memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <thread>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

TEST(PressureTest, APlanSaysThatNothingIsLoaded) {
  TestDaemon daemon([](Config& config) {
    config.residency.low_water_bytes = config.residency.high_water_bytes = uint64_t{1} << 50;
  });
  daemon.AddModel("tiny");
  const auto stub = daemon.NewStub();
  auto load =
      std::async(std::launch::async, [&] { return RunLoad(*daemon.NewStub(), "tiny").status; });
  const auto is_paused = [&daemon] {
    return std::ranges::any_of(
        daemon.residency().journal().Newest(100),
        [](const ResidencyEvent& event) { return event.kind == ResidencyEvent::Kind::kPaused; });
  };
  for (int i = 0; i < 5'000 && !is_paused(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(is_paused());

  grpc::ClientContext planned;
  v1::PlanModelRequest request;
  request.set_model("tiny");
  v1::PlanModelResponse plan;
  ASSERT_TRUE(stub->PlanModel(&planned, request, &plan).ok());
  EXPECT_EQ(plan.decision(), v1::PlanModelResponse::DECISION_WAIT);
  EXPECT_NE(plan.reason().find("residency.low_water"), std::string::npos) << plan.reason();

  grpc::ClientContext unloaded;
  v1::UnloadModelRequest unload;
  unload.set_model("tiny");
  v1::UnloadModelResponse freed;
  EXPECT_TRUE(stub->UnloadModel(&unloaded, unload, &freed).ok());
  EXPECT_EQ(ErrorInfoOf(load.get()).reason(), "LOAD_CANCELLED");
}

}  // namespace
}  // namespace forge::testing
