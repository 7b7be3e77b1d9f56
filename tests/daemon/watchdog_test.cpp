#include "daemon/app/watchdog.h"

#include <gtest/gtest.h>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

using std::chrono::milliseconds;

// Runs a watchdog of 5 ms on an idle daemon for 100 ms and counts how often it feeds.
int FeedsUnder(const EngineProgress& progress) {
  TempDirectory directory;
  spdlog::logger log("test", std::make_shared<spdlog::sinks::null_sink_mt>());
  FakeEngine engine;
  engine.SetProgress(progress);
  boost::asio::io_context io(1);
  const Catalogue catalogue({directory.path().string()});
  Residency residency(engine, catalogue, {}, io, log);
  int n_feeds = 0;
  Watchdog watchdog(
      io, engine, residency, milliseconds(5), milliseconds(1000), [&n_feeds] { ++n_feeds; }, log);
  watchdog.Start();
  io.run_for(milliseconds(100));
  watchdog.Stop();
  io.run_for(milliseconds(10));
  return n_feeds;
}

TEST(WatchdogTest, FeedsWhileIdleAndWhileSteppingButNotWhenAStepHangs) {
  EXPECT_GE(FeedsUnder({}), 3);
  EngineProgress progress;
  progress.busy = true;
  progress.since_progress = milliseconds(900);
  EXPECT_GE(FeedsUnder(progress), 3);
  progress.since_progress = milliseconds(1100);
  EXPECT_EQ(FeedsUnder(progress), 0);
}

}  // namespace
}  // namespace forge::testing
