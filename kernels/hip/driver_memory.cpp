#include "kernels/hip/driver_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <string_view>

namespace forge {
namespace {

namespace fs = std::filesystem;

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::optional<uint64_t> ReadFigure(const fs::path& path) {
  std::ifstream file(path);
  uint64_t bytes = 0;
  if (!(file >> bytes)) return std::nullopt;
  return bytes;
}

struct Gpu {
  fs::path device;     // its folder; the last part is the PCI id
  std::string render;  // "128" of renderD128
};

std::optional<Gpu> FindGpu(const fs::path& root, const std::string& pci_id) {
  constexpr std::string_view kRender = "renderD";
  std::error_code error;
  fs::directory_iterator entries(root / "sys/class/drm", error);
  if (error) return std::nullopt;
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kRender)) continue;
    const fs::path device = fs::canonical(entry.path() / "device", error);
    if (!error && LowerCase(device.filename().string()) == LowerCase(pci_id))
      return Gpu{device, name.substr(kRender.size())};
  }
  return std::nullopt;
}

std::optional<uint64_t> ReadProperty(const fs::path& compute_node, const std::string& name) {
  std::ifstream file(compute_node / "properties");
  std::string key;
  for (uint64_t value = 0; file >> key >> value;)
    if (key == name) return value;
  return std::nullopt;
}

// Ollama's rule (discover/amd.go), which tells APUs from cards where the runtime does not.
bool LooksIntegrated(const fs::path& device, const DriverMemory& memory) {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  std::error_code ignored;
  return memory.vram_total <= 4 * kGiB && memory.gtt_total >= 8 * kGiB &&
         memory.gtt_total >= 4 * memory.vram_total &&
         !fs::exists(device / "mem_info_vram_vendor", ignored) &&
         !fs::exists(device / "board_info", ignored);
}

}  // namespace

std::optional<DriverMemory> ReadDriverMemory(const fs::path& root, const std::string& pci_id) {
  const std::optional<Gpu> gpu = FindGpu(root, pci_id);
  if (!gpu) return std::nullopt;
  const std::optional<uint64_t> vram_total = ReadFigure(gpu->device / "mem_info_vram_total");
  const std::optional<uint64_t> vram_used = ReadFigure(gpu->device / "mem_info_vram_used");
  if (!vram_total || !vram_used) return std::nullopt;
  DriverMemory memory = {.vram_total = *vram_total, .vram_used = *vram_used};
  memory.gtt_total = ReadFigure(gpu->device / "mem_info_gtt_total").value_or(0);
  memory.gtt_used = ReadFigure(gpu->device / "mem_info_gtt_used").value_or(0);
  memory.looks_integrated = LooksIntegrated(gpu->device, memory);
  return memory;
}

std::optional<uint64_t> ReadProcessMemory(const fs::path& root, const std::string& pci_id) {
  const fs::path kfd = root / "sys/class/kfd/kfd";
  const std::optional<Gpu> gpu = FindGpu(root, pci_id);
  std::error_code error;
  fs::directory_iterator nodes(kfd / "topology/nodes", error);
  if (error || !gpu) return std::nullopt;
  for (const fs::directory_entry& node : nodes) {
    const std::optional<uint64_t> render = ReadProperty(node.path(), "drm_render_minor");
    const std::optional<uint64_t> id = ReadFigure(node.path() / "gpu_id");
    if (id && render && std::to_string(*render) == gpu->render)
      return ReadFigure(kfd / "proc" / std::to_string(getpid()) / ("vram_" + std::to_string(*id)));
  }
  return std::nullopt;
}

}  // namespace forge
