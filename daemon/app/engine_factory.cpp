#include "daemon/app/engine_factory.h"

#include <vector>

#include "daemon/app/gpu_plugin.h"
#include "kernels/cpu/cpu_device.h"

namespace forge {
namespace {

using Devices = std::vector<std::unique_ptr<Device>>;

// All GPUs that can be opened; an error only if none can.
Result<Devices> OpenGpus(const Config& config, spdlog::logger& log) {
  FORGE_ASSIGN_OR_RETURN(const HipPlugin* const plugin, OpenHipPlugin(HipPluginPath(config)));
  FORGE_ASSIGN_OR_RETURN(const int count, plugin->count_devices());
  Devices devices;
  Status failure;
  for (int i = 0; i < count; ++i) {
    Result<std::unique_ptr<Device>> device = plugin->create_device(
        {.index = i, .hang_limit = config.gpu_hang_limit, .uses_graphs = config.gpu_graphs});
    if (device.ok()) {
      devices.push_back(*std::move(device));
    } else {
      failure = device.status();
      log.warn("GPU {} is not used: {}", i, failure.message());
    }
  }
  if (devices.empty()) return failure;
  log.info("{} of {} GPUs are used, through {} {}", devices.size(), count, plugin->runtime,
           plugin->runtime_version());
  return devices;
}

Result<Devices> OpenDevices(const Config& config, spdlog::logger& log) {
  Devices devices;
  if (config.gpu != GpuUse::kOff) {
    Result<Devices> gpus = OpenGpus(config, log);
    if (gpus.ok())
      devices = *std::move(gpus);
    else if (config.gpu == GpuUse::kRequired)
      return gpus.status().WithContext("device.gpu is required");
    else
      log.info("models run on the CPU: {}", gpus.status().message());
  }
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Device> cpu,
                         CreateCpuDevice({.n_threads = static_cast<int>(config.device_threads),
                                          .max_draft_tokens = config.speculative_tokens}));
  devices.push_back(std::move(cpu));
  return devices;
}

}  // namespace

Result<std::unique_ptr<Engine>> CreateEngine(const Config& config, spdlog::logger& log) {
  EngineOptions options;
  FORGE_ASSIGN_OR_RETURN(options.devices, OpenDevices(config, log));
  options.policy = config.memory;
  options.device_policies = DevicePolicies(config);
  options.max_queued_turns = config.limits.max_queued_turns;
  options.shares_prefixes = config.prefix_cache;
  return Engine::Create(std::move(options));
}

}  // namespace forge
