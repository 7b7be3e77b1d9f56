#include "kernels/hip/plugin.h"

#include "kernels/hip/device_report.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {
namespace {

#if defined(FORGE_GPU_ROCM)
constexpr char kRuntime[] = "ROCm";
#elif defined(FORGE_GPU_CUDA)
constexpr char kRuntime[] = "CUDA";
#else
constexpr char kRuntime[] = "emulated HIP";
#endif

std::string RuntimeVersion() {
  int version = 0;
  const hipError_t error = hipRuntimeGetVersion(&version);
  if (error != hipSuccess) return std::string("unknown: ") + hipGetErrorName(error);
#if defined(FORGE_GPU_CUDA)
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
#else
  return std::to_string(version / 10'000'000) + "." + std::to_string(version / 100'000 % 100) +
         "." + std::to_string(version % 100'000);
#endif
}

constexpr HipPlugin kPlugin = {.interface_version = kHipPluginVersion,
                               .build = kHipPluginBuild,
                               .runtime = kRuntime,
                               .runtime_version = &RuntimeVersion,
                               .count_devices = &CountHipDevices,
                               .create_device = &CreateHipDevice,
                               .examine_device = &ExamineHipDevice};

}  // namespace

const HipPlugin& ThisHipPlugin() { return kPlugin; }

}  // namespace forge
