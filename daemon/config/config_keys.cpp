#include "daemon/config/config_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <set>

#include "daemon/config/device_memory_rules.h"
#include "daemon/config/quantity.h"

namespace forge {
namespace {

using Values = std::vector<std::string>;

bool SetCount(uint32_t& target, const std::string& text, uint32_t least, uint32_t most) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < least || value > most) return false;
  target = value;
  return true;
}

bool SetSize(uint64_t& target, const std::string& text, uint64_t least, uint64_t most) {
  const std::optional<uint64_t> value = ParseSize(text);
  if (!value || *value < least || *value > most) return false;
  target = *value;
  return true;
}

bool SetDuration(std::chrono::milliseconds& target, const std::string& text,
                 std::chrono::milliseconds least,
                 std::chrono::milliseconds most = std::chrono::milliseconds::max()) {
  const std::optional<std::chrono::milliseconds> value = ParseDuration(text);
  if (!value || *value < least || *value > most) return false;
  target = *value;
  return true;
}

// The position of `text` among `names`, as the enumerator with that number.
template <typename Enum, size_t N>
bool SetEnum(Enum& target, const std::string& text, const std::array<std::string_view, N>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return false;
  target = static_cast<Enum>(found - names.begin());
  return true;
}

template <typename Enum, size_t N>
Values GetEnum(Enum value, const std::array<std::string_view, N>& names) {
  return {std::string(names[static_cast<size_t>(value)])};
}

constexpr std::array<std::string_view, 2> kPolicyNames = {"share", "incremental"};
static_assert(static_cast<int>(AdmissionPolicy::Kind::kIncremental) == 1);
static_assert(static_cast<int>(KvDType::kF32) == 1 && static_cast<int>(KvDType::kQ8_0) == 3);
constexpr std::array<std::string_view, kKvDTypes> kKvTypeNames = {"f16", "f32", "bf16", "q8_0"};
constexpr std::array<std::string_view, 3> kGpuNames = {"auto", "required", "off"};
constexpr std::array<std::string_view, 4> kLevelNames = {"error", "warning", "info", "debug"};
constexpr std::array<std::string_view, 3> kFormatNames = {"auto", "plain", "journal"};

bool SetMode(Config& config, const Values& values) {
  uint32_t mode = 0;
  const char* const end = values[0].data() + values[0].size();
  const auto [rest, error] = std::from_chars(values[0].data(), end, mode, 8);
  if (error != std::errc() || rest != end || mode > 0777) return false;
  config.socket_mode = mode;
  return true;
}

Values GetMode(const Config& config) { return {fmt::format("{:04o}", config.socket_mode)}; }

bool SetListen(Config& config, const Values& values) {
  const std::optional<ListenAddress> address = ParseListenAddress(values[0]);
  if (!address) return false;
  config.listen = *address;
  return true;
}

bool SetMetricsListen(Config& config, const Values& values) {
  const std::optional<ListenAddress> address = ParseListenAddress(values[0]);
  if (!address && values[0] != "none") return false;
  config.metrics_listen = address;
  return true;
}

Values GetMetricsListen(const Config& config) {
  return {config.metrics_listen ? config.metrics_listen->ToString() : "none"};
}

bool SetModelDirectories(Config& config, const Values& values) {
  if (values.empty()) return false;
  Values directories;
  for (const std::string& value : values) {
    std::filesystem::path path = std::filesystem::path(value).lexically_normal();
    if (!path.is_absolute()) return false;
    if (!path.has_filename() && path.has_parent_path()) path = path.parent_path();
    directories.push_back(path.string());
  }
  config.model_directories = std::move(directories);
  return true;
}

bool SetFreeFraction(Config& config, const Values& values) {
  const std::optional<double> value = ParseFraction(values[0]);
  if (!value) return false;
  config.memory.free_fraction = *value;
  return true;
}

Values GetFreeFraction(const Config& config) {
  return {fmt::format("{}", config.memory.free_fraction)};
}

bool SetCap(Config& config, const Values& values) {
  if (values[0] == "none") {
    config.memory.cap_bytes.reset();
    return true;
  }
  const std::optional<uint64_t> bytes = ParseSize(values[0]);
  if (!bytes || *bytes == 0) return false;
  config.memory.cap_bytes = bytes;
  return true;
}

bool SetPlugin(Config& config, const Values& values) {
  if (!values[0].empty() && !std::filesystem::path(values[0]).is_absolute()) return false;
  config.gpu_plugin = values[0];
  return true;
}

bool SetBool(bool& target, const std::string& text) {
  if (text != "true" && text != "false") return false;
  target = text == "true";
  return true;
}

bool SetKeepAlive(Config& config, const Values& values) {
  if (values[0] == "forever") {
    config.residency.keep_alive.reset();
    return true;
  }
  const std::optional<std::chrono::milliseconds> duration = ParseDuration(values[0]);
  if (!duration) return false;
  config.residency.keep_alive = duration;
  return true;
}

bool SetDeviceMemory(Config& config, const Values& values) {
  std::vector<DeviceMemoryRules> all;
  std::set<std::string> devices;
  for (const std::string& value : values) {
    std::optional<DeviceMemoryRules> rules = ParseDeviceMemoryRules(value);
    if (!rules || !devices.insert(rules->device).second) return false;
    all.push_back(*std::move(rules));
  }
  config.device_memory = std::move(all);
  return true;
}

Values GetDeviceMemory(const Config& config) {
  Values values;
  for (const DeviceMemoryRules& rules : config.device_memory)
    values.push_back(FormatDeviceMemoryRules(rules));
  return values;
}

bool SetPreload(Config& config, const Values& values) {
  if (std::ranges::find(values, "") != values.end()) return false;
  config.residency.preload = values;
  return true;
}

bool SetDefaultDevice(Config& config, const Values& values) {
  if (values[0].empty()) return false;
  config.default_device = values[0];
  return true;
}

bool IsAbsolute(const std::string& text) { return std::filesystem::path(text).is_absolute(); }

bool SetStateDirectory(Config& config, const Values& values) {
  if (values[0] != "auto" && values[0] != "none" && !IsAbsolute(values[0])) return false;
  config.state_directory = values[0] == "none" ? "" : values[0];
  if (values[0] == "auto") config.state_directory.reset();
  return true;
}

Values GetStateDirectory(const Config& config) {
  if (!config.state_directory) return {"auto"};
  return {config.state_directory->empty() ? "none" : *config.state_directory};
}

bool SetAuditPath(Config& config, const Values& values) {
  if (values[0] != "auto" && values[0] != "none" && !IsAbsolute(values[0])) return false;
  config.audit.is_on = values[0] != "none";
  config.audit.path = IsAbsolute(values[0]) ? values[0] : "";
  return true;
}

Values GetAuditPath(const Config& config) {
  if (!config.audit.is_on) return {"none"};
  return {config.audit.path.empty() ? "auto" : config.audit.path};
}

constexpr uint32_t kAnyCount = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kAnySize = std::numeric_limits<int64_t>::max();
using std::chrono::milliseconds;

constexpr std::string_view kDurationOfOneSecond =
    "a duration of at least 1s, written as in 500ms, 30s, 15m or 1h";

constexpr std::string_view kAnyDuration = "a duration as in 0ms, 500ms, 30s, 15m or 1h";

const ConfigKey kKeys[] = {
    {"listen",
     "unix:///absolute/path (at most 107 bytes), or a loopback host and port as in "
     "127.0.0.1:50051; "
     "other addresses are refused because connections are not encrypted",
     false, SetListen, [](const Config& c) { return Values{c.listen.ToString()}; }},
    {"socket_mode", "octal permissions from 0000 to 0777", false, SetMode, GetMode},
    {"metrics_listen",
     "none, a loopback host and port as in 127.0.0.1:9464, or unix:///absolute/path (at most 107 "
     "bytes); other addresses are refused because whoever reaches them may read",
     false, SetMetricsListen, GetMetricsListen},
    {"model_directories", "a list of absolute paths, at least one", true, SetModelDirectories,
     [](const Config& c) { return c.model_directories; }},
    {"memory.policy", "share or incremental", false,
     [](Config& c, const Values& v) { return SetEnum(c.memory.kind, v[0], kPolicyNames); },
     [](const Config& c) { return GetEnum(c.memory.kind, kPolicyNames); }},
    {"memory.free_fraction", "a number above 0, at most 1", false, SetFreeFraction,
     GetFreeFraction},
    {"memory.reserve", "a size as in 512MiB or 2GiB, or 0", false,
     [](Config& c, const Values& v) { return SetSize(c.memory.reserve_bytes, v[0], 0, kAnySize); },
     [](const Config& c) { return Values{FormatSize(c.memory.reserve_bytes)}; }},
    {"memory.cap", "a size as in 24GiB, or none", false, SetCap,
     [](const Config& c) {
       return Values{c.memory.cap_bytes ? FormatSize(*c.memory.cap_bytes) : "none"};
     }},
    {"memory.devices",
     "a list of devices with any of policy, free_fraction, reserve and cap, each device once, as "
     "in "
     "'hip:0 cap=20GiB reserve=1GiB'",
     true, SetDeviceMemory, GetDeviceMemory},
    {"residency.load_on_demand", "true or false", false,
     [](Config& c, const Values& v) { return SetBool(c.residency.load_on_demand, v[0]); },
     [](const Config& c) { return Values{c.residency.load_on_demand ? "true" : "false"}; }},
    {"residency.keep_alive", "a duration as in 5m, 0ms, or forever", false, SetKeepAlive,
     [](const Config& c) {
       return Values{c.residency.keep_alive ? FormatDuration(*c.residency.keep_alive) : "forever"};
     }},
    {"residency.min_residence", kAnyDuration, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.residency.min_residence, v[0], milliseconds(0));
     },
     [](const Config& c) { return Values{FormatDuration(c.residency.min_residence)}; }},
    {"residency.patience", kAnyDuration, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.residency.patience, v[0], milliseconds(0));
     },
     [](const Config& c) { return Values{FormatDuration(c.residency.patience)}; }},
    {"residency.low_water", "a size as in 512MiB, or 0 for off", false,
     [](Config& c, const Values& v) {
       return SetSize(c.residency.low_water_bytes, v[0], 0, kAnySize);
     },
     [](const Config& c) { return Values{FormatSize(c.residency.low_water_bytes)}; }},
    {"residency.high_water", "a size as in 1GiB, at least low_water", false,
     [](Config& c, const Values& v) {
       return SetSize(c.residency.high_water_bytes, v[0], 0, kAnySize);
     },
     [](const Config& c) { return Values{FormatSize(c.residency.high_water_bytes)}; }},
    {"residency.preload", "a list of names of models", true, SetPreload,
     [](const Config& c) { return c.residency.preload; }},
    {"residency.restore", "true or false", false,
     [](Config& c, const Values& v) { return SetBool(c.residency.restore, v[0]); },
     [](const Config& c) { return Values{c.residency.restore ? "true" : "false"}; }},
    {"device.threads", "a number from 0 to 1024; 0 is one for each CPU", false,
     [](Config& c, const Values& v) { return SetCount(c.device_threads, v[0], 0, 1024); },
     [](const Config& c) { return Values{std::to_string(c.device_threads)}; }},
    {"device.gpu", "auto, required or off", false,
     [](Config& c, const Values& v) { return SetEnum(c.gpu, v[0], kGpuNames); },
     [](const Config& c) { return GetEnum(c.gpu, kGpuNames); }},
    {"device.gpu_plugin", "an absolute path, or nothing for the one that came with forged", false,
     SetPlugin, [](const Config& c) { return Values{c.gpu_plugin}; }},
    {"device.gpu_hang_limit", "a duration from 1s to 1h", false,
     [](Config& c, const Values& v) {
       return SetDuration(c.gpu_hang_limit, v[0], milliseconds(1000), milliseconds(3'600'000));
     },
     [](const Config& c) { return Values{FormatDuration(c.gpu_hang_limit)}; }},
    {"device.gpu_graphs", "true or false", false,
     [](Config& c, const Values& v) { return SetBool(c.gpu_graphs, v[0]); },
     [](const Config& c) { return Values{c.gpu_graphs ? "true" : "false"}; }},
    {"defaults.device", "auto, or a device as in cpu or hip:0", false, SetDefaultDevice,
     [](const Config& c) { return Values{c.default_device}; }},
    {"defaults.context_length", "a number of tokens; 0 is the model's own, at most 4096", false,
     [](Config& c, const Values& v) {
       return SetCount(c.load_defaults.context_length, v[0], 0, kAnyCount);
     },
     [](const Config& c) { return Values{std::to_string(c.load_defaults.context_length)}; }},
    {"defaults.max_sequences", "a number from 1 to 256", false,
     [](Config& c, const Values& v) {
       return SetCount(c.load_defaults.max_sequences, v[0], 1, 256);
     },
     [](const Config& c) { return Values{std::to_string(c.load_defaults.max_sequences)}; }},
    {"defaults.prefill_chunk", "a number from 1 to 4096", false,
     [](Config& c, const Values& v) {
       return SetCount(c.load_defaults.prefill_chunk, v[0], 1, 4096);
     },
     [](const Config& c) { return Values{std::to_string(c.load_defaults.prefill_chunk)}; }},
    {"defaults.kv_cache_type", "f16, f32, bf16 or q8_0", false,
     [](Config& c, const Values& v) {
       return SetEnum(c.load_defaults.kv_dtype, v[0], kKvTypeNames);
     },
     [](const Config& c) { return GetEnum(c.load_defaults.kv_dtype, kKvTypeNames); }},
    {"limits.max_queued_turns", "a number from 1 to 65536", false,
     [](Config& c, const Values& v) { return SetCount(c.limits.max_queued_turns, v[0], 1, 65536); },
     [](const Config& c) { return Values{std::to_string(c.limits.max_queued_turns)}; }},
    {"limits.max_streams", "a number from 1 to 4096", false,
     [](Config& c, const Values& v) { return SetCount(c.limits.max_streams, v[0], 1, 4096); },
     [](const Config& c) { return Values{std::to_string(c.limits.max_streams)}; }},
    {"limits.max_message", "a size from 64KiB to 64MiB", false,
     [](Config& c, const Values& v) {
       return SetSize(c.limits.max_message_bytes, v[0], uint64_t{64} << 10, uint64_t{64} << 20);
     },
     [](const Config& c) { return Values{FormatSize(c.limits.max_message_bytes)}; }},
    {"limits.stream_buffer", "a size from 64KiB to 64MiB", false,
     [](Config& c, const Values& v) {
       return SetSize(c.limits.stream_buffer_bytes, v[0], uint64_t{64} << 10, uint64_t{64} << 20);
     },
     [](const Config& c) { return Values{FormatSize(c.limits.stream_buffer_bytes)}; }},
    {"limits.load_deadline", kDurationOfOneSecond, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.limits.load_deadline, v[0], milliseconds(1000));
     },
     [](const Config& c) { return Values{FormatDuration(c.limits.load_deadline)}; }},
    {"limits.generate_deadline", kDurationOfOneSecond, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.limits.generate_deadline, v[0], milliseconds(1000));
     },
     [](const Config& c) { return Values{FormatDuration(c.limits.generate_deadline)}; }},
    {"limits.stalled_reader_timeout", kDurationOfOneSecond, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.limits.stalled_reader_timeout, v[0], milliseconds(1000));
     },
     [](const Config& c) { return Values{FormatDuration(c.limits.stalled_reader_timeout)}; }},
    {"limits.step_timeout", kDurationOfOneSecond, false,
     [](Config& c, const Values& v) {
       return SetDuration(c.limits.step_timeout, v[0], milliseconds(1000));
     },
     [](const Config& c) { return Values{FormatDuration(c.limits.step_timeout)}; }},
    {"prefix_cache", "true or false", false,
     [](Config& c, const Values& v) { return SetBool(c.prefix_cache, v[0]); },
     [](const Config& c) { return Values{c.prefix_cache ? "true" : "false"}; }},
    {"speculative_tokens", "a number from 0 to 31", false,
     [](Config& c, const Values& v) { return SetCount(c.speculative_tokens, v[0], 0, 31); },
     [](const Config& c) { return Values{std::to_string(c.speculative_tokens)}; }},
    {"state_directory", "auto, none or an absolute path", false, SetStateDirectory,
     GetStateDirectory},
    {"audit.path", "auto, none or an absolute path", false, SetAuditPath, GetAuditPath},
    {"audit.max_size", "a size from 64KiB to 1TiB", false,
     [](Config& c, const Values& v) {
       return SetSize(c.audit.max_bytes, v[0], uint64_t{64} << 10, uint64_t{1} << 40);
     },
     [](const Config& c) { return Values{FormatSize(c.audit.max_bytes)}; }},
    {"drain_timeout", "a duration as in 20s or 2m, or 0", false,
     [](Config& c, const Values& v) { return SetDuration(c.drain_timeout, v[0], milliseconds(0)); },
     [](const Config& c) { return Values{FormatDuration(c.drain_timeout)}; }},
    {"log.level", "error, warning, info or debug", false,
     [](Config& c, const Values& v) { return SetEnum(c.log.level, v[0], kLevelNames); },
     [](const Config& c) { return GetEnum(c.log.level, kLevelNames); }},
    {"log.format", "auto, plain or journal", false,
     [](Config& c, const Values& v) { return SetEnum(c.log.format, v[0], kFormatNames); },
     [](const Config& c) { return GetEnum(c.log.format, kFormatNames); }},
    {"reflection", "true or false", false,
     [](Config& c, const Values& v) { return SetBool(c.reflection, v[0]); },
     [](const Config& c) { return Values{c.reflection ? "true" : "false"}; }},
};

}  // namespace

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

const ConfigKey* FindConfigKey(std::string_view path) {
  for (const ConfigKey& key : kKeys) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

std::string NamesInSection(std::string_view section) {
  std::vector<std::string_view> names;
  for (const ConfigKey& key : kKeys) {
    std::string_view rest = key.path;
    if (!section.empty()) {
      if (rest.size() <= section.size() || rest.substr(0, section.size()) != section) continue;
      if (rest[section.size()] != '.') continue;
      rest.remove_prefix(section.size() + 1);
    }
    const std::string_view name = rest.substr(0, rest.find('.'));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace forge
