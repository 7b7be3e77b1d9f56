#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

#include "daemon/residency/residency.h"
#include "engine/runtime/engine.h"

namespace forge {

// Feeds a watchdog for as long as the daemon really works: the engine steps or has nothing to do,
// and the residency strand answers. Runs on the io_context.
class Watchdog {
 public:
  // Calls `feed` every `period` while all is well. A step may take up to `step_timeout`.
  // Lifetime: everything must outlive the watchdog.
  Watchdog(boost::asio::io_context& io, const Engine& engine, Residency& residency,
           std::chrono::microseconds period, std::chrono::milliseconds step_timeout,
           std::function<void()> feed, spdlog::logger& log);

  void Start() { Tick(); }
  void Stop() { timer_.cancel(); }

 private:
  void Tick();
  bool IsHealthy();

  const Engine& engine_;
  Residency& residency_;
  const std::chrono::microseconds period_;
  const std::chrono::milliseconds step_timeout_;
  const std::function<void()> feed_;
  spdlog::logger& log_;
  boost::asio::steady_timer timer_;
  bool has_answer_ = true;  // to the ping of the tick before; nothing is asked before the first
};

}  // namespace forge
