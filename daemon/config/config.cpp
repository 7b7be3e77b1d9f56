#include "daemon/config/config.h"

#include <fmt/format.h>

#include "daemon/config/quantity.h"

namespace forge {

Status CheckContradictions(const Config& config) {
  const ResidencyRules& residency = config.residency;
  if (residency.high_water_bytes < residency.low_water_bytes)
    return InvalidArgument(fmt::format(
        "residency.high_water is {}, less than residency.low_water, which is {}: what was paused "
        "below the one goes on at the other; set high_water to at least low_water",
        FormatSize(residency.high_water_bytes), FormatSize(residency.low_water_bytes)));
  const std::string listen = config.listen.ToString();
  const bool is_any_port =
      config.listen.kind == ListenAddress::Kind::kTcp && config.listen.port == 0;
  if (config.metrics_listen && config.metrics_listen->ToString() == listen && !is_any_port)
    return InvalidArgument(fmt::format(
        "metrics_listen is {}, and so is listen: the two need addresses of their own", listen));
  const std::string& device = config.default_device;
  if (config.gpu == GpuUse::kOff && device != "auto" && device != "cpu")
    return InvalidArgument(
        fmt::format("defaults.device is {}, but device.gpu is off, so that there is only cpu; set "
                    "defaults.device to auto or cpu, or device.gpu to auto",
                    device));
  const bool may_use_gpu = config.gpu != GpuUse::kOff;
  if (may_use_gpu && config.gpu_hang_limit >= config.limits.step_timeout)
    return InvalidArgument(fmt::format(
        "device.gpu_hang_limit is {}, not less than limits.step_timeout, which is {}: the watchdog "
        "would end the daemon before a GPU counts as lost; set gpu_hang_limit below step_timeout",
        FormatDuration(config.gpu_hang_limit), FormatDuration(config.limits.step_timeout)));
  return Status();
}

std::map<std::string, AdmissionPolicy> DevicePolicies(const Config& config) {
  std::map<std::string, AdmissionPolicy> policies;
  for (const DeviceMemoryRules& rules : config.device_memory) {
    AdmissionPolicy policy = config.memory;
    policy.kind = rules.policy.value_or(policy.kind);
    policy.free_fraction = rules.free_fraction.value_or(policy.free_fraction);
    policy.reserve_bytes = rules.reserve_bytes.value_or(policy.reserve_bytes);
    if (rules.cap_bytes) policy.cap_bytes = rules.cap_bytes;
    if (rules.cap_bytes == 0u) policy.cap_bytes.reset();
    policies.emplace(rules.device, policy);
  }
  return policies;
}

std::optional<std::string> StateDirectory(const Config& config, const char* environment) {
  if (config.state_directory && config.state_directory->empty()) return std::nullopt;
  if (config.state_directory) return config.state_directory;
  if (environment == nullptr) return std::nullopt;
  // systemd separates directories with colons; the first one is the service's own.
  const std::string_view all = environment;
  const std::string first(all.substr(0, all.find(':')));
  if (first.empty()) return std::nullopt;
  return first;
}

std::optional<std::string> AuditPath(const Config& config,
                                     const std::optional<std::string>& state_directory) {
  if (!config.audit.is_on) return std::nullopt;
  if (!config.audit.path.empty()) return config.audit.path;
  if (!state_directory) return std::nullopt;
  return *state_directory + "/audit.jsonl";
}

}  // namespace forge
