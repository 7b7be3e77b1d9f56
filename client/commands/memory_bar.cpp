#include "client/commands/memory_bar.h"

#include <algorithm>
#include <cmath>

namespace forge::client {

std::string RenderMemoryBar(const v1::DeviceMemory& device, int width) {
  std::string bar;
  double bytes_so_far = 0;
  const auto add = [&](char mark, int64_t bytes) {
    if (device.total_bytes() <= 0 || bytes <= 0) return;
    bytes_so_far += static_cast<double>(bytes);
    const double share = std::min(1.0, bytes_so_far / static_cast<double>(device.total_bytes()));
    const auto end = static_cast<size_t>(std::lround(share * width));
    bar.append(end - std::min(end, bar.size()), mark);
  };
  for (const v1::ModelMemory& model : device.models()) {
    add('#', model.memory().weights_bytes());
    add('=', model.memory().kv_cache_bytes());
    add('-', model.memory().scratch_bytes());
  }
  const int64_t promised = std::clamp(device.reserved_bytes() - device.allocated_bytes(),
                                      int64_t{0}, device.free_bytes());
  add('+', promised);
  add('o', device.others_bytes());
  add('r', std::min(device.reserve_bytes(), device.free_bytes() - promised));
  bar.resize(static_cast<size_t>(width), ' ');
  return "[" + bar + "]";
}

std::string MemoryBarLegend() {
  return "# weights  = KV cache  - scratch  + promised  o others  r reserve";
}

}  // namespace forge::client
