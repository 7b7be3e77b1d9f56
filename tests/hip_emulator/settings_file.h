#pragma once

#include <vector>

#include "tests/hip_emulator/control.h"

namespace forge::emulator {

// Steers the emulator of a process from outside, for tests of whole programs: the environment
// variable FORGE_HIP_EMULATOR names a file of lines "key value", which is read when the runtime is
// first used and again whenever it has changed. README.md lists the keys.
class SettingsFile {
 public:
  // One device with the file's settings; without a file, a device with defaults.
  static std::vector<DeviceSettings> InitialDevices();
  // Applies the file's settings if it changed since the last time.
  static void Apply();
};

}  // namespace forge::emulator
