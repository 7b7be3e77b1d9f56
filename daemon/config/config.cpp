#include "daemon/config/config.h"

namespace forge {

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
