#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/hip_emulator/hip_runtime.h"

// How tests steer the emulated GPUs. All functions are thread-safe unless they say otherwise, and
// take effect at once for all threads. Devices are named by their index, as in hipSetDevice.
namespace forge::emulator {

struct DeviceSettings {
  uint64_t memory_bytes = uint64_t{1} << 30;
  int wave_size = 32;  // or 64
  int n_units = 4;
  uint64_t shared_bytes = 64 * 1024;  // of a block
  std::string name = "Emulated GPU";
  std::string target = "emulated";    // TargetName
  bool integrated = false;            // its memory is the host's: SysfsRoot() has a GTT instead
  uint64_t gtt_bytes = 0;             // integrated only: memory_bytes are carved out, beside these
  uint64_t host_free_bytes = 0;       // integrated only: MemAvailable below SysfsRoot(); 0: no file
  uint64_t foreign_bytes = 0;         // see SetForeignBytes
  bool runtime_sees_foreign = false;  // AMD's does not: hipMemGetInfo counts compute memory only
  bool in_sysfs = true;               // false: the driver shows no figures for it
};

// Starts over with these devices: everything allocated is gone, streams and events too, all
// settings below are as new, and so is the calling thread's hipGetLastError. REQUIRES: no thread is
// in a call of the runtime; what was allocated before is not used again.
void Reset(const std::vector<DeviceSettings>& devices = {DeviceSettings()});

// --- Memory
// What other processes hold. hipMalloc knows; the driver's figure shows it; see
// runtime_sees_foreign.
void SetForeignBytes(int device, uint64_t bytes);
// Bytes freed from now on show in the driver's figure only after this many further calls of
// hipMemGetInfo.
void SetFreeLag(int device, int readings);
// The root of a tree like the kernel's: <root>/sys/class/drm/..., <root>/proc/meminfo,
// <root>/sys/class/kfd/... Its figures are brought up to date by each call of hipMemGetInfo.
std::filesystem::path SystemRoot();

// --- Faults
struct Failure {
  hipError_t error = hipErrorUnknown;
  int after = 0;         // so many calls succeed first
  bool forever = false;  // all calls from then on, rather than one
};
// `name` is a function of the runtime ("hipMalloc"), or a kernel as its launcher names it: that
// fault shows when the launch runs, and makes the device useless as any fault in a kernel does.
void FailCalls(const std::string& name, const Failure& failure);
// All work on the device fails from now on, what is queued included.
void LoseDevice(int device);
// The launch after `after` others loses the device when it runs.
void LoseDeviceAtLaunch(int device, int after);
// The launch after `after` others never ends. hipStreamSynchronize waits for it, and hipFree too;
// Reset ends it.
void HangAtLaunch(int device, int after);
// Copies take as long as at this rate; 0: no longer than they do.
void SetCopyRate(int device, uint64_t bytes_per_second);
// Copies to the host that do not start at the beginning of an allocation read from its beginning.
void BreakOffsetCopies(int device, bool broken);

// --- What happened
uint64_t Launches(int device);
// Of a function of the runtime, or launches of a kernel as its launcher names it.
uint64_t Calls(const std::string& name);
uint64_t HeldBytes(int device);
int Allocations(int device);
// The faults since the last call, oldest first, each a sentence: accesses outside of memory,
// threads that diverge, copies beyond an allocation, writes past its end found when it was freed.
std::vector<std::string> TakeFaults();

}  // namespace forge::emulator
