#include "daemon/residency/load_job.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/daemon/fake_engine.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

TEST(LoadJobTest, ReportsNoPhaseThatIsOver) {
  const testing::TempFile file("weights");
  const std::string path = file.path().string();
  testing::FakeEngine engine;
  LoadJob job({"m", path, 7, {}}, std::chrono::minutes(1));
  const auto plan = engine.Inspect(path, "cpu", LoadOptions());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  // The load was admitted before the job ran: its header is read by then.
  LoadPhase last = LoadPhase::kAdmission;
  size_t n_reports = 0;
  const auto loaded = job.Run(engine, *plan, [&](const LoadProgress& progress) {
    EXPECT_GE(progress.phase, last) << "report " << n_reports;
    last = progress.phase;
    ++n_reports;
  });
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(last, LoadPhase::kLoadingWeights);
  EXPECT_GE(n_reports, 3u);
}

TEST(LoadJobTest, ItsDurationLeavesOutTheWaitBeforeIt) {
  const testing::TempFile file("weights");
  const std::string path = file.path().string();
  testing::FakeEngine engine;
  LoadJob job({"m", path, 7, {}}, std::chrono::minutes(1));
  const auto plan = engine.Inspect(path, "cpu", LoadOptions());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it waits for memory
  const auto start = std::chrono::steady_clock::now();
  const auto loaded = job.Run(engine, *plan, [](const LoadProgress&) {});
  const auto passed = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_LE(loaded->load_duration, passed);
}

}  // namespace
}  // namespace forge
