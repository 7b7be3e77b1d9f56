#pragma once

#include <cstdint>
#include <string>

#include "kernels/api/device.h"
#include "kernels/hip/hip_device.h"

namespace forge {

// What `forgectl doctor` wants to know of a GPU.
struct HipDeviceReport {
  std::string id;      // "hip:0"
  std::string name;    // "AMD Radeon RX 7900 XTX"
  std::string target;  // "gfx1100"
  std::string pci_id;
  int wave_size = 0;
  bool integrated = false;
  bool has_driver_reading = false;  // else driver_free_bytes repeats the runtime's
  MemoryReading memory;
  Status self_test;  // of opening, copies and a kernel; an error also if memory could not be read
};

// The interface of libforge-hip.so. The symbol kHipPluginSymbol is a function without parameters
// that returns a pointer to one, which lives as long as the library.
//
// Functions pass C++ objects, so program and plug-in must come from the same build: check
// `interface_version` and then `build` before anything else. They are thread-safe.
struct HipPlugin {
  uint32_t interface_version;  // kHipPluginVersion; first, and a uint32_t, in every version
  const char* build;           // kHipPluginBuild
  const char* runtime;         // "ROCm", "CUDA", "emulated HIP"
  // "5.2.3", or why there is none.
  std::string (*runtime_version)();
  Result<int> (*count_devices)();
  Result<std::unique_ptr<Device>> (*create_device)(const HipDeviceOptions& options);
  HipDeviceReport (*examine_device)(int index);
};

inline constexpr uint32_t kHipPluginVersion = 1;
inline constexpr char kHipPluginSymbol[] = "forge_hip_plugin";
// Version and a digest of the headers that both sides compile; set by CMake.
#if defined(FORGE_PLUGIN_BUILD)
inline constexpr char kHipPluginBuild[] = FORGE_PLUGIN_BUILD;
#endif

// The plug-in's own table; for the function behind kHipPluginSymbol.
const HipPlugin& ThisHipPlugin();

}  // namespace forge
