#pragma once

#include <string>

#include "daemon/config/config.h"

namespace forge {

// What forged would find if it opened the GPUs now, as one JSON object; `forgectl doctor` reads it.
// It runs in a process of its own, since a broken runtime may end or hang the process that asks it.
//   {"plugin": path, "error": why no GPU can be used, or absent,
//    "runtime": "ROCm 5.2.3", "devices": [{"id", "name", "target", "pci_id", "wave_size",
//    "integrated", "has_driver_reading", "total_bytes", "free_bytes", "runtime_free_bytes",
//    "driver_free_bytes", "self_test": "ok" or what failed}]}
std::string ProbeGpus(const Config& config);

}  // namespace forge
