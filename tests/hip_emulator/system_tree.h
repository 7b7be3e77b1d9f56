#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/hip_emulator/control.h"

namespace forge::emulator {

// A device as the driver sees it.
struct SystemTreeGpu {
  DeviceSettings settings;
  uint64_t used_bytes = 0;  // by this process; foreign_bytes come on top
};

// "0000:03:00.0" for device 0, "0000:04:00.0" for device 1, and so on.
std::string PciId(int device);

// Writes what amdgpu shows of these devices below `root`: sys/class/drm/renderD<128+i>/device with
// the PCI id as a link and mem_info_{vram,gtt}_{total,used}; sys/class/kfd/kfd/topology/nodes/<1+i>
// and sys/class/kfd/kfd/proc/<pid>/vram_<gpu>, or proc/meminfo for integrated ones. Each file is
// replaced at once, so that readers see whole ones.
void WriteSystemTree(const std::filesystem::path& root, const std::vector<SystemTreeGpu>& gpus);

}  // namespace forge::emulator
