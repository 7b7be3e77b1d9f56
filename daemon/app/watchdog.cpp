#include "daemon/app/watchdog.h"

#include "kernels/base/exceptions.h"

namespace forge {

Watchdog::Watchdog(boost::asio::io_context& io, const Engine& engine, Residency& residency,
                   std::chrono::microseconds period, std::chrono::milliseconds step_timeout,
                   std::function<void()> feed, spdlog::logger& log)
    : engine_(engine),
      residency_(residency),
      period_(period),
      step_timeout_(step_timeout),
      feed_(std::move(feed)),
      log_(log),
      timer_(io) {}

void Watchdog::Tick() {
  if (IsHealthy()) feed_();
  has_answer_ = false;
  UntilMemory([this] { residency_.Ping([this] { has_answer_ = true; }); });
  timer_.expires_after(period_);
  UntilMemory([this] {
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Tick();
    });
  });
}

bool Watchdog::IsHealthy() {
  if (!has_answer_) {
    log_.error("the residency strand does not answer; the watchdog is not fed");
    return false;
  }
  const EngineProgress progress = engine_.Progress();
  if (!progress.busy || progress.since_progress <= step_timeout_) return true;
  log_.error(
      "no step has ended for {} ms, longer than limits.step_timeout; the watchdog is not fed",
      std::chrono::duration_cast<std::chrono::milliseconds>(progress.since_progress).count());
  return false;
}

}  // namespace forge
