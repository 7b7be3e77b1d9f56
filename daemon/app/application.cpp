#include "daemon/app/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "daemon/residency/asio_handlers.h"
#include "daemon/rpc/event_convert.h"
#include "daemon/telemetry/metrics_page.h"
#include "kernels/base/exceptions.h"

namespace forge {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kSweepPeriod{250};
constexpr milliseconds kDrainPoll{10};
// After streams were told to end: what is left, such as a client that reads nothing, is cut.
constexpr milliseconds kCloseGrace{500};

ResidencySettings SettingsFrom(const ResidencyRules& rules) {
  ResidencySettings settings;
  settings.min_residence = rules.min_residence;
  settings.patience = rules.patience;
  settings.keep_alive = rules.keep_alive;
  settings.low_water_bytes = rules.low_water_bytes;
  settings.high_water_bytes = rules.high_water_bytes;
  return settings;
}

std::optional<StateStore> OpenState(const Config& config) {
  const std::optional<std::string> directory =
      StateDirectory(config, std::getenv("STATE_DIRECTORY"));
  if (!directory) return std::nullopt;
  return std::make_optional<StateStore>(*directory);
}

double Gibibytes(uint64_t bytes) { return static_cast<double>(bytes) / double{1 << 30}; }

}  // namespace

Application::Application(Config config, std::unique_ptr<Engine> engine, std::string version,
                         spdlog::logger& log)
    : config_(std::move(config)),
      log_(log),
      protobuf_log_(log),
      engine_(std::move(engine)),
      catalogue_(config_.model_directories),
      io_work_(boost::asio::make_work_guard(io_)),
      sweep_timer_(io_),
      drain_timer_(io_),
      state_(OpenState(config_)),
      residency_(*engine_, catalogue_, ResidencyOptions(), io_, log),
      context_(*engine_, residency_, config_, std::move(version), log) {
  std::optional<std::string> state_directory;
  if (state_) state_directory = state_->directory().string();
  const std::optional<std::string> path = AuditPath(config_, state_directory);
  if (path) audit_.emplace(*path, config_.audit.max_bytes, log_);
}

Application::~Application() = default;

Residency::Options Application::ResidencyOptions() {
  Residency::Options options;
  options.load_defaults = {config_.default_device, config_.load_defaults};
  options.load_deadline = config_.limits.load_deadline;
  options.on_change = [this](const auto& models) { OnResidencyChange(models); };
  options.on_event = [this](const ResidencyEvent& event) {
    if (audit_) audit_->Append([event] { return AuditLine(event); });
  };
  options.settings = SettingsFrom(config_.residency);
  options.state = state_ ? &*state_ : nullptr;
  return options;
}

Status Application::Run() {
  const Status state_usable = state_ ? state_->Prepare() : Status();
  if (state_usable.code() == StatusCode::kFailedPrecondition) return state_usable;
  FORGE_TRY(StartMetrics());
  Result<std::unique_ptr<Server>> server = Server::Start(context_, io_);
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  signals_.emplace(io_, SIGTERM, SIGINT, SIGHUP);
  AwaitSignal();
  SweepCalls();
  StartWatchdog();
  std::thread io_thread([this] { RunHandlers(io_, "forged", log_); });
  // Whoever left this function now would end the process: the thread runs.
  const auto warn = [this](const Status& status) {
    log_.warn("the start is not complete: {}", status.message());
  };
  Contain([&] { LogStart(state_usable); }, warn);
  notifier_.Ready();
  Contain(
      [this] {
        notifier_.Status("No model is resident");
        RestoreModels();
      },
      warn);
  drained_.get_future().wait();
  TearDown();
  io_thread.join();
  log_.info("forged ends");
  return Status();
}

// Whoever asks for metrics and gets none would not notice for long, so that it is an error where
// they cannot be told.
Status Application::StartMetrics() {
  if (!config_.metrics_listen) return Status();
  metrics_server_.emplace(
      [this] {
        return RenderMetrics(*context_.metrics, *engine_, {context_.version, context_.start_time});
      },
      log_);
  Result<std::unique_ptr<Listener>> listener = Listener::Start(
      *config_.metrics_listen, config_.socket_mode, io_,
      [this](Descriptor connected) { metrics_server_->Serve(std::move(connected)); },
      "--metrics-listen");
  if (!listener.ok()) return listener.status().WithContext("metrics_listen");
  metrics_listener_ = *std::move(listener);
  return Status();
}

void Application::RestoreModels() {
  std::vector<ResidentRecord> models;
  for (const std::string& name : config_.residency.preload) models.push_back({name, {}});
  if (state_) {
    // Taken in any case: they are those of the last stop, not of one before.
    Result<std::vector<ResidentRecord>> saved = state_->TakeResidents();
    if (!saved.ok())
      log_.warn("{}; the models of the last run do not come back", saved.status().message());
    if (saved.ok() && config_.residency.restore) {
      for (ResidentRecord& resident : *saved) {
        // One that is preloaded comes back as it was kept.
        const auto known = std::ranges::find(models, resident.model, &ResidentRecord::model);
        if (known == models.end()) {
          models.push_back(std::move(resident));
        } else {
          *known = std::move(resident);
        }
      }
    }
  }
  if (!models.empty()) residency_.Restore(models);
}

void Application::SaveModels() {
  if (!state_) return;
  const Status saved = Caught([this] { return state_->SaveResidents(residency_.Records()); });
  if (!saved.ok()) log_.warn("the resident models will not come back: {}", saved.message());
}

void Application::StartWatchdog() {
  const std::optional<std::chrono::microseconds> interval = notifier_.watchdog_interval();
  if (!interval) return;
  watchdog_.emplace(
      io_, *engine_, residency_, *interval / 2, config_.limits.step_timeout,
      [this] { notifier_.FeedWatchdog(); }, log_);
  watchdog_->Start();
}

void Application::LogStart(const Status& state_usable) {
  log_.info("forged {} listens on {}", context_.version, server_->address().ToString());
  if (!state_usable.ok())
    log_.warn(
        "{}; nothing is remembered for the next start, and a model whose load kills the daemon is "
        "tried again; name another with state_directory",
        state_usable.message());
  if (metrics_listener_)
    log_.info("metrics are told at {}, /metrics", metrics_listener_->address().ToString());
  LogDevices();
  for (const std::string& directory : config_.model_directories) {
    std::error_code error;  // unreadable counts as missing
    if (!std::filesystem::is_directory(directory, error)) {
      log_.warn("model directory {} does not exist or cannot be read", directory);
    }
  }
}

void Application::LogDevices() {
  std::vector<std::string> ids = {std::string(kAutoDevice)};
  for (const DeviceMemory& device : engine_->Memory()) {
    log_.info("device {}: {}; models may take {:.1f} GiB of {:.1f} GiB", device.device,
              device.description, Gibibytes(device.available_bytes),
              Gibibytes(device.reading.total_bytes));
    ids.push_back(device.device);
  }
  const auto warn_if_unknown = [&](const std::string& device, std::string_view key) {
    if (std::ranges::find(ids, device) == ids.end())
      log_.warn("{} names device {}, which this machine does not have", key, device);
  };
  warn_if_unknown(config_.default_device, "defaults.device");
  for (const DeviceMemoryRules& rules : config_.device_memory)
    warn_if_unknown(rules.device, "memory.devices");
}

// ---- Signals and drain, on the io_context

void Application::AwaitSignal() {
  UntilMemory([this] {
    signals_->async_wait([this](const boost::system::error_code& error, int signal_number) {
      if (error) return;
      OnSignal(signal_number);
      AwaitSignal();
    });
  });
}

void Application::OnSignal(int signal_number) {
  if (signal_number == SIGHUP) {
    log_.warn("SIGHUP is ignored: changes of the configuration need a restart");
    return;
  }
  if (draining_) {
    log_.warn("a second signal: ending at once");
    server_->CloseListener();
    if (metrics_listener_) metrics_listener_->Close();
    std::_Exit(EXIT_FAILURE);
  }
  log_.info("{}: no new work; running turns have {} ms", strsignal(signal_number),
            config_.drain_timeout.count());
  BeginDrain();
}

void Application::BeginDrain() {
  draining_ = true;
  UntilMemory([this] {
    notifier_.Stopping();
    server_->SetServing(false);
    residency_.BeginShutdown();
    context_.running_calls.BeginDrain();
  });
  drain_deadline_ = std::chrono::steady_clock::now() + config_.drain_timeout;
  AwaitDrained();
}

void Application::AwaitDrained() {
  if (UntilMemory([this] { return context_.running_calls.empty(); }) && !residency_.busy()) {
    server_->CloseListener();
    drained_.set_value();
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now > drain_deadline_ && !aborted_) {
    log_.warn("drain_timeout is over: the turns that still run are cancelled");
    aborted_ = true;
    UntilMemory([this] {
      context_.running_calls.AbortAll(Unavailable("the daemon is shutting down, and drain_timeout "
                                                  "is over")
                                          .WithReason("SHUTTING_DOWN"));
    });
  }
  if (now > drain_deadline_ + kCloseGrace) {
    server_->CloseListener();
    drained_.set_value();
    return;
  }
  drain_timer_.expires_after(kDrainPoll);
  UntilMemory([this] {
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) AwaitDrained();
    });
  });
}

void Application::SweepCalls() {
  UntilMemory([this] { context_.running_calls.Sweep(std::chrono::steady_clock::now()); });
  sweep_timer_.expires_after(kSweepPeriod);
  UntilMemory([this] {
    sweep_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) SweepCalls();
    });
  });
}

void Application::OnResidencyChange(const std::vector<ModelSnapshot>& models) {
  std::vector<std::string_view> ready, loading;
  for (const ModelSnapshot& model : models) {
    if (model.state == ModelState::kReady) ready.push_back(model.file.name);
    if (model.state == ModelState::kLoading) loading.push_back(model.file.name);
  }
  std::string text =
      ready.empty() ? "No model is resident" : fmt::format("Resident: {}", fmt::join(ready, ", "));
  if (!loading.empty()) text += fmt::format("; loading: {}", fmt::join(loading, ", "));
  notifier_.Status(text);
}

// The io_context still runs here: handlers that end need the strand, and a second signal counts.
void Application::TearDown() {
  SaveModels();  // first: what follows waits without a bound, and whoever stops us kills at last
  server_->Shutdown(kCloseGrace);
  residency_.Stop();
  context_.Join();
  // Stopped rather than run dry: a timer whose end is queued already would start itself again.
  io_.stop();
}

}  // namespace forge
