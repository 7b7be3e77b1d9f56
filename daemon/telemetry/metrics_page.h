#pragma once

#include <chrono>
#include <string>

#include "daemon/telemetry/metrics.h"
#include "engine/runtime/engine.h"

namespace forge {

// What the page tells beside counts and the engine's figures.
struct DaemonInfo {
  std::string version;
  std::chrono::system_clock::time_point start_time;
};

// Everything there is to tell, as text in Prometheus' exposition format 0.0.4. Asks the engine's
// devices how much memory is free, and so may wait for a driver; takes no lock that a step takes.
std::string RenderMetrics(const Metrics& metrics, const Engine& engine, const DaemonInfo& info);

}  // namespace forge
