#include <gtest/gtest.h>

#include <thread>

#include "tests/daemon/daemon_fixture.h"

namespace forge::testing {
namespace {

// A fake model takes the bytes of its file and 80 KiB.
constexpr uint64_t kMiB = 1 << 20;

// A daemon with a CPU and two GPUs: 100 MiB, 10 MiB and 20 MiB, of which models may take 70 %.
class DevicesTest : public ::testing::Test {
 protected:
  static void Configure(Config& config) {
    config.residency.min_residence = std::chrono::milliseconds(0);
  }
  static void Prepare(FakeEngine& engine) {
    engine.SetBudgetBytes(100 * kMiB);
    engine.SetBudgetBytes(10 * kMiB, "hip:0");
    engine.SetBudgetBytes(20 * kMiB, "hip:1");
  }
  // The device that `model` was loaded on, or the reason why it was not.
  std::string Load(const std::string& model, const std::string& device = "") {
    v1::LoadOptions options;
    options.set_device(device);
    const LoadOutcome outcome = RunLoad(*stub_, model, options);
    if (!outcome.status.ok()) return ErrorInfoOf(outcome.status).reason();
    return outcome.ready->residency().device();
  }

  TestDaemon daemon_{Configure, Prepare};
  std::unique_ptr<v1::ForgeService::Stub> stub_ = daemon_.NewStub();
};

TEST_F(DevicesTest, AutoTakesAGpuWhereTheModelFitsBeforeTheCpu) {
  daemon_.AddModel("a", 6 * kMiB);
  daemon_.AddModel("b", 6 * kMiB);
  daemon_.AddModel("c", 12 * kMiB);
  daemon_.AddModel("d", 40 * kMiB);
  EXPECT_EQ(Load("a"), "hip:0");
  EXPECT_EQ(Load("b", "auto"), "hip:1") << "it fits there without eviction";
  EXPECT_EQ(Load("c"), "cpu") << "without eviction it only fits there";
  EXPECT_EQ(Load("d"), "cpu") << "no GPU is large enough";
  EXPECT_EQ(daemon_.engine().reserved_bytes("hip:0"), 6 * kMiB + (80 << 10));
  EXPECT_EQ(daemon_.engine().reserved_bytes("hip:1"), 6 * kMiB + (80 << 10));
}

TEST_F(DevicesTest, ADeviceThatIsNamedNeverFallsBack) {
  daemon_.AddModel("large", 12 * kMiB);
  EXPECT_EQ(Load("large", "hip:0"), "GPU_BUDGET_EXCEEDED");
  EXPECT_EQ(Load("large", "hip:7"), "DEVICE_NOT_FOUND");
  EXPECT_EQ(Load("large", "hip:1"), "hip:1");
}

TEST_F(DevicesTest, EveryDeviceHasItsOwnLedgerAndEvictsItsOwnModels) {
  daemon_.AddModel("a", 6 * kMiB);
  daemon_.AddModel("b", 6 * kMiB);
  daemon_.AddModel("c", 6 * kMiB);
  EXPECT_EQ(Load("a", "hip:0"), "hip:0");
  EXPECT_EQ(Load("b", "hip:1"), "hip:1");
  EXPECT_EQ(Load("c", "hip:0"), "hip:0");
  EXPECT_FALSE(daemon_.residency().Find("a"));
  EXPECT_TRUE(daemon_.residency().Find("b"));
}

TEST_F(DevicesTest, AModelThatIsResidentIsNotLoadedAnewForAuto) {
  daemon_.AddModel("a", 6 * kMiB);
  EXPECT_EQ(Load("a", "cpu"), "cpu");
  EXPECT_EQ(Load("a", "auto"), "cpu");
  EXPECT_EQ(Load("a", "hip:0"), "MODEL_OPTIONS_DIFFER");
}

// What the first gives back is not to be seen for a second, and a restore leaves out what would
// wait.
TEST_F(DevicesTest, ARestoreGoesOnAfterALoadThatFailedOnAGpu) {
  daemon_.AddModel("a", 6 * kMiB);
  daemon_.AddModel("b", 6 * kMiB);
  daemon_.engine().SetLoadFailure("a.gguf", Status(StatusCode::kDataLoss, "the disk is broken"));
  LoadRequest on_gpu;
  on_gpu.device = "hip:0";
  daemon_.residency().Restore({{"a", on_gpu}, {"b", on_gpu}});
  const auto is_ready = [this] {
    const auto b = daemon_.residency().Find("b");
    return b && b->state == ModelState::kReady;
  };
  for (int i = 0; i < 5'000 && !is_ready(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(is_ready());
}

TEST_F(DevicesTest, PlanSaysWhereAutoWouldLoad) {
  daemon_.AddModel("a", 12 * kMiB);
  grpc::ClientContext context;
  v1::PlanModelRequest request;
  request.set_model("a");
  v1::PlanModelResponse plan;
  ASSERT_TRUE(stub_->PlanModel(&context, request, &plan).ok());
  EXPECT_EQ(plan.details().options().device(), "hip:1");
  EXPECT_EQ(plan.decision(), v1::PlanModelResponse::DECISION_FITS);
}

TEST(DefaultDeviceTest, IsTheOneOfTheConfiguration) {
  TestDaemon daemon([](Config& config) { config.default_device = "cpu"; },
                    [](FakeEngine& engine) { engine.SetBudgetBytes(10 * kMiB, "hip:0"); });
  daemon.AddModel("a", kMiB);
  const LoadOutcome outcome = RunLoad(*daemon.NewStub(), "a");
  ASSERT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.ready->residency().device(), "cpu");
}

}  // namespace
}  // namespace forge::testing
