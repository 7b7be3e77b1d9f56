#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace forge {

// What the amdgpu driver says of a GPU's memory, in bytes. Unlike the runtime it counts everybody:
// the compositor, browsers, games.
struct DriverMemory {
  uint64_t vram_total = 0;
  uint64_t vram_used = 0;
  uint64_t gtt_total = 0;  // host memory that the GPU may use
  uint64_t gtt_used = 0;
  // Shares the host's memory: little memory of its own, much of the host's, and no board of its
  // own.
  bool looks_integrated = false;

  // Where the driver puts what is allocated on an integrated GPU: in the host's memory, but where
  // more was carved out for the GPU than it may use of the host's (apu_prefer_gtt of Linux 6.10 and
  // later).
  bool PrefersGtt() const { return vram_total < gtt_total; }
};

// Reads <root>/sys/class/drm/renderD*/device/mem_info_* of the GPU at `pci_id` ("0000:03:00.0", in
// either case). Nothing if the driver shows no such GPU or no figures.
std::optional<DriverMemory> ReadDriverMemory(const std::filesystem::path& root,
                                             const std::string& pci_id);

// What the driver counts as this process's memory on the GPU at `pci_id`, in bytes, with what the
// runtime holds beside what was asked of it. Reads <root>/sys/class/kfd/kfd/proc/<pid>/vram_<gpu>
// (the kernel's kfd_process.c); nothing if there is no such file, as in a container with process
// numbers of its own.
std::optional<uint64_t> ReadProcessMemory(const std::filesystem::path& root,
                                          const std::string& pci_id);

}  // namespace forge
