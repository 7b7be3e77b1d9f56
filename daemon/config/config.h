#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/listen_address.h"
#include "engine/runtime/engine.h"
#include "kernels/base/status.h"

namespace forge {

// Bounds that keep one client from harming the others.
struct Limits {
  uint32_t max_queued_turns = 256;  // of each model
  uint32_t max_streams = 64;        // calls with streams at the same time
  uint64_t max_message_bytes = uint64_t{4} << 20;
  uint64_t stream_buffer_bytes = uint64_t{1} << 20;  // of tokens that a client has not read yet
  std::chrono::milliseconds load_deadline{15 * 60'000};
  std::chrono::milliseconds generate_deadline{30 * 60'000};
  std::chrono::milliseconds stalled_reader_timeout{30'000};
  std::chrono::milliseconds step_timeout{120'000};
};

// Which models stay resident; docs/residency.md.
struct ResidencyRules {
  bool load_on_demand = true;  // calls load a model that is not resident
  std::chrono::milliseconds min_residence{10'000};
  std::chrono::milliseconds patience{30'000};
  std::optional<std::chrono::milliseconds> keep_alive;  // nullopt: forever
  uint64_t low_water_bytes = uint64_t{512} << 20;       // 0: off
  uint64_t high_water_bytes = uint64_t{1} << 30;        // at least low_water_bytes
  std::vector<std::string> preload = {};  // names of models that are loaded after the start
  bool restore = true;                    // so are those that were resident at the last clean stop
};

// What is set apart for one device; the rest is as Config::memory says.
struct DeviceMemoryRules {
  std::string device;
  std::optional<AdmissionPolicy::Kind> policy = {};
  std::optional<double> free_fraction = {};
  std::optional<uint64_t> reserve_bytes = {};
  std::optional<uint64_t> cap_bytes = {};  // 0: none
};

// Where what happened to memory is written down.
struct AuditOptions {
  bool is_on = true;
  std::string path = {};  // empty: audit.jsonl in the state directory
  uint64_t max_bytes = uint64_t{16} << 20;
};

// What becomes of the GPUs: auto uses those there are, required does not start without one.
enum class GpuUse { kAuto, kRequired, kOff };

enum class LogLevel { kError, kWarning, kInfo, kDebug };
enum class LogFormat { kAuto, kPlain, kJournal };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;  // journal if standard error is connected to journald
};

// What the operator decides. docs/configuration.md explains every key; config_keys.cpp lists them.
struct Config {
  ListenAddress listen{ListenAddress::Kind::kUnix, "/run/forge/forge.sock", {}, 0};
  uint32_t socket_mode = 0660;
  std::optional<ListenAddress> metrics_listen = {};  // nullopt: nowhere
  std::vector<std::string> model_directories = {"/var/lib/forge/models"};
  AdmissionPolicy memory;
  std::vector<DeviceMemoryRules> device_memory;
  ResidencyRules residency;
  std::string default_device = "auto";
  // nullopt: what systemd names in $STATE_DIRECTORY; empty: none.
  std::optional<std::string> state_directory;
  AuditOptions audit;
  uint32_t device_threads = 0;  // 0: one for each CPU
  GpuUse gpu = GpuUse::kAuto;
  std::string gpu_plugin;  // empty: the one that was built with the program
  std::chrono::milliseconds gpu_hang_limit{4000};
  bool gpu_graphs = true;
  LoadOptions load_defaults;
  Limits limits;
  bool prefix_cache = true;
  uint32_t speculative_tokens = 7;  // of a step on the CPU, guesses of what comes next
  std::chrono::milliseconds drain_timeout{20'000};
  LogOptions log;
  bool reflection = true;
};

// kInvalidArgument naming both keys and their values where two that are right by themselves
// contradict each other.
Status CheckContradictions(const Config& config);

// The memory policies of the devices that have one of their own, by their ids.
std::map<std::string, AdmissionPolicy> DevicePolicies(const Config& config);
// The directory for the daemon's own state; nullopt: there is none. `environment` is that of
// systemd, $STATE_DIRECTORY; may be null.
std::optional<std::string> StateDirectory(const Config& config, const char* environment);
// The file for what happened to memory; nullopt: it is not written.
std::optional<std::string> AuditPath(const Config& config,
                                     const std::optional<std::string>& state_directory);

}  // namespace forge
