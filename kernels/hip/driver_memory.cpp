#include "kernels/hip/driver_memory.h"

#include <algorithm>
#include <cctype>
#include <fstream>

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

// The folder of the GPU; its link's last part is the PCI id.
std::optional<fs::path> FindGpu(const fs::path& root, const std::string& pci_id) {
  std::error_code error;
  fs::directory_iterator entries(root / "sys/class/drm", error);
  if (error) return std::nullopt;
  for (const fs::directory_entry& entry : entries) {
    if (!entry.path().filename().string().starts_with("renderD")) continue;
    const fs::path device = fs::canonical(entry.path() / "device", error);
    if (!error && LowerCase(device.filename().string()) == LowerCase(pci_id)) return device;
  }
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
  const std::optional<fs::path> device = FindGpu(root, pci_id);
  if (!device) return std::nullopt;
  const std::optional<uint64_t> vram_total = ReadFigure(*device / "mem_info_vram_total");
  const std::optional<uint64_t> vram_used = ReadFigure(*device / "mem_info_vram_used");
  if (!vram_total || !vram_used) return std::nullopt;
  DriverMemory memory = {.vram_total = *vram_total, .vram_used = *vram_used};
  memory.gtt_total = ReadFigure(*device / "mem_info_gtt_total").value_or(0);
  memory.gtt_used = ReadFigure(*device / "mem_info_gtt_used").value_or(0);
  memory.looks_integrated = LooksIntegrated(*device, memory);
  return memory;
}

}  // namespace forge
