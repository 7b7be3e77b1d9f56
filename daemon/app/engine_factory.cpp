#include "daemon/app/engine_factory.h"

#include "kernels/cpu/cpu_device.h"

namespace forge {

Result<std::unique_ptr<Engine>> CreateEngine(const Config& config) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Device> cpu,
                         CreateCpuDevice({static_cast<int>(config.device_threads)}));
  EngineOptions options;
  options.devices.push_back(std::move(cpu));
  options.policy = config.memory;
  options.device_policies = DevicePolicies(config);
  options.max_queued_turns = config.limits.max_queued_turns;
  return Engine::Create(std::move(options));
}

}  // namespace forge
