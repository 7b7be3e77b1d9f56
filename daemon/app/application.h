#pragma once

#include <spdlog/logger.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "daemon/app/service_notifier.h"
#include "daemon/app/watchdog.h"
#include "daemon/config/config.h"
#include "daemon/residency/catalogue.h"
#include "daemon/residency/residency.h"
#include "daemon/residency/state_store.h"
#include "daemon/rpc/listener.h"
#include "daemon/rpc/protobuf_log.h"
#include "daemon/rpc/server.h"
#include "daemon/rpc/service_context.h"
#include "daemon/telemetry/audit_file.h"
#include "daemon/telemetry/metrics_server.h"
#include "engine/runtime/engine.h"

namespace forge {

// The daemon: owns all parts, and takes them from start to end.
//
// One thread runs the io_context: signals, timers, accepting, and the residency strand. On SIGTERM
// or SIGINT health turns NOT_SERVING and new work is refused; running turns get drain_timeout, then
// they are cancelled. A second signal ends the process at once.
class Application {
 public:
  // Lifetime: `log` must outlive the application.
  Application(Config config, std::unique_ptr<Engine> engine, std::string version,
              spdlog::logger& log);
  ~Application();

  // Serves until a signal ends it. Blocks. Returns why it could not start, or OK after a drain.
  Status Run();

 private:
  // On the io_context.
  void AwaitSignal();
  void OnSignal(int signal_number);
  void BeginDrain();
  void AwaitDrained();
  void SweepCalls();
  void OnResidencyChange(const std::vector<ModelSnapshot>& models);

  Residency::Options ResidencyOptions();
  // Brings back the models that are to be resident from the start on.
  void RestoreModels();
  void SaveModels();
  Status StartMetrics();
  void StartWatchdog();
  void LogStart(const Status& state_usable);
  void LogDevices();
  void TearDown();

  const Config config_;
  spdlog::logger& log_;
  const ProtobufLog protobuf_log_;
  const ServiceNotifier notifier_{};
  const std::unique_ptr<Engine> engine_;
  const Catalogue catalogue_;

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> io_work_;
  std::optional<boost::asio::signal_set> signals_;
  boost::asio::steady_timer sweep_timer_;
  boost::asio::steady_timer drain_timer_;

  std::optional<StateStore> state_;
  std::optional<AuditFile> audit_;
  Residency residency_;
  ServiceContext context_;
  std::optional<MetricsServer> metrics_server_;
  std::unique_ptr<Listener> metrics_listener_;
  std::unique_ptr<Server> server_;
  std::optional<Watchdog> watchdog_;

  bool draining_ = false;  // touched on the io_context only
  std::chrono::steady_clock::time_point drain_deadline_;
  bool aborted_ = false;
  std::promise<void> drained_;
};

}  // namespace forge
