#include "tests/hip_emulator/system_tree.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace forge::emulator {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".new";
  std::ofstream(fresh) << text << '\n';
  std::error_code ignored;  // the folder may be going away with the machine
  fs::rename(fresh, path, ignored);
}

// Compute node 0 is the processor, so a GPU's is one on. The driver numbers GPUs by a hash.
void WriteComputeNode(const fs::path& root, int index, uint64_t used_bytes) {
  const fs::path kfd = root / "sys/class/kfd/kfd";
  const fs::path node = kfd / "topology/nodes" / std::to_string(index + 1);
  const std::string gpu = std::to_string(40000 + 7 * index);
  fs::create_directories(node);
  Write(node / "gpu_id", gpu);
  Write(node / "properties",
        "simd_count 8\ndrm_render_minor " + std::to_string(128 + index) + "\ngfx_target_version 0");
  const fs::path process = kfd / "proc" / std::to_string(getpid());
  fs::create_directories(process);
  Write(process / ("vram_" + gpu), std::to_string(used_bytes));
}

void WriteGpu(const fs::path& root, int index, const SystemTreeGpu& gpu) {
  const fs::path pci = root / "sys/devices/pci0000:00" / PciId(index);
  const std::string render = "renderD" + std::to_string(128 + index);
  fs::create_directories(pci);
  fs::create_directories(root / "sys/class/drm" / render);
  const fs::path link = root / "sys/class/drm" / render / "device";
  if (!fs::exists(link)) fs::create_symlink(pci, link);
  const DeviceSettings& settings = gpu.settings;
  const uint64_t used = gpu.used_bytes + settings.foreign_bytes;
  const bool in_gtt = settings.integrated && settings.gtt_bytes == 0;
  Write(pci / "vendor", "0x1002");
  Write(pci / "mem_info_vram_total",
        std::to_string(in_gtt ? settings.memory_bytes / 8 : settings.memory_bytes));
  Write(pci / "mem_info_vram_used", std::to_string(in_gtt ? 0 : used));
  Write(pci / "mem_info_gtt_total",
        std::to_string(settings.gtt_bytes != 0 ? settings.gtt_bytes : settings.memory_bytes));
  Write(pci / "mem_info_gtt_used", std::to_string(in_gtt ? used : 0));
  if (!in_gtt) WriteComputeNode(root, index, gpu.used_bytes);
  if (settings.host_free_bytes == 0) return;
  fs::create_directories(root / "proc");
  Write(root / "proc/meminfo",
        "MemTotal: " + std::to_string(settings.memory_bytes / 1024) +
            " kB\nMemAvailable: " + std::to_string(settings.host_free_bytes / 1024) + " kB");
}

}  // namespace

std::string PciId(int device) {
  char text[16];
  std::snprintf(text, sizeof(text), "0000:%02x:00.0", 3 + device);
  return text;
}

void WriteSystemTree(const fs::path& root, const std::vector<SystemTreeGpu>& gpus) {
  for (size_t i = 0; i < gpus.size(); ++i)
    if (gpus[i].settings.in_sysfs) WriteGpu(root, static_cast<int>(i), gpus[i]);
}

}  // namespace forge::emulator
