#include "daemon/app/probe_gpus.h"

#include <nlohmann/json.hpp>

#include "daemon/app/gpu_plugin.h"

namespace forge {
namespace {

nlohmann::json ToJson(const HipDeviceReport& report) {
  return {{"id", report.id},
          {"name", report.name},
          {"target", report.target},
          {"pci_id", report.pci_id},
          {"wave_size", report.wave_size},
          {"integrated", report.integrated},
          {"has_driver_reading", report.has_driver_reading},
          {"total_bytes", report.memory.total_bytes},
          {"free_bytes", report.memory.free_bytes},
          {"runtime_free_bytes", report.memory.runtime_free_bytes},
          {"driver_free_bytes", report.memory.driver_free_bytes},
          {"self_test", report.self_test.ok() ? "ok" : std::string(report.self_test.message())}};
}

}  // namespace

std::string ProbeGpus(const Config& config) {
  const std::filesystem::path path = HipPluginPath(config);
  nlohmann::json found = {{"plugin", path.string()}, {"devices", nlohmann::json::array()}};
  const Result<const HipPlugin*> plugin = OpenHipPlugin(path);
  if (!plugin.ok()) {
    found["error"] = std::string(plugin.status().message());
    return found.dump();
  }
  found["runtime"] = std::string((*plugin)->runtime) + " " + (*plugin)->runtime_version();
  const Result<int> count = (*plugin)->count_devices();
  if (!count.ok()) found["error"] = std::string(count.status().message());
  for (int i = 0; count.ok() && i < *count; ++i)
    found["devices"].push_back(ToJson((*plugin)->examine_device(i)));
  // Names come from the driver: no byte of them may spoil the text.
  return found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace forge
