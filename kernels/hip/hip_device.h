#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/base/result.h"

namespace forge {

struct HipDeviceOptions {
  int index = 0;  // as the runtime counts: "hip:<index>"
  // Work that makes no progress for this long means that the device hangs.
  std::chrono::milliseconds hang_limit{4000};
  // Whether steps that come again are launched as graphs, where the runtime can.
  bool uses_graphs = true;
  // Where the driver's figures are looked for: <root>/sys, <root>/proc. Empty: the machine's, or
  // the emulator's in an emulated build.
  std::filesystem::path system_root = {};
};

// How many GPUs the runtime shows. kUnavailable, saying what the runtime said and
// what to look at, if there is none or the runtime cannot start.
Result<int> CountHipDevices();

// Opens a GPU: chooses it, looks up its properties and tests its copies. Thread-compatible.
//
// The device is thread-safe. Every thread that calls it, or gives work to its streams, works on
// this GPU from then on; programs with several GPUs need not choose. When work fails, a fault is
// reported or nothing moves for hang_limit, the device is lost: all its functions but Free and
// allocation_count answer kUnavailable (reason DEVICE_LOST) from then on, within hang_limit + 1 s
// of the cause, and memory that is freed is left to the driver, which may not answer any more.
//
// kNotFound for an index that does not exist, otherwise as CountHipDevices and as its functions.
Result<std::unique_ptr<Device>> CreateHipDevice(const HipDeviceOptions& options);

}  // namespace forge
