#pragma once

#include <memory>

#include "kernels/api/device.h"

namespace forge {

struct CpuDeviceOptions {
  int n_threads = 0;  // 0: one for each CPU this process may use (affinity and cgroup quota)
  uint32_t max_draft_tokens = 0;  // as in DeviceInfo
};

// Creates the device that runs on the host's processor; always available. Kernels for AVX-512 VNNI,
// AVX2 or portable C++ are chosen by what the processor has.
Result<std::unique_ptr<Device>> CreateCpuDevice(const CpuDeviceOptions& options);

}  // namespace forge
