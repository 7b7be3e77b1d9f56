#include "tests/hip_emulator/machine.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "kernels/base/check.h"
#include "tests/hip_emulator/grid_runner.h"
#include "tests/hip_emulator/settings_file.h"
#include "tests/hip_emulator/shared_memory.h"
#include "tests/hip_emulator/stream_queue.h"
#include "tests/hip_emulator/system_tree.h"

namespace forge::emulator {
namespace {

thread_local constinit int current_device = 0;
thread_local constinit hipError_t last_error = hipSuccess;

std::filesystem::path MakeFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "hip-emulator-XXXXXX").string();
  FORGE_CHECK(mkdtemp(pattern.data()) != nullptr, "no folder for the emulated system tree");
  return pattern;
}

}  // namespace

int CurrentDevice() { return current_device; }

hipError_t Remember(hipError_t error) {
  if (error != hipSuccess) last_error = error;
  return error;
}

Machine& Machine::Get() {
  static Machine machine;
  return machine;
}

Machine::Machine() : system_root_(MakeFolder()) {
  PrepareGridRunner();
  Reset(SettingsFile::InitialDevices());
}

Machine::~Machine() {
  Reset({});
  std::error_code ignored;
  std::filesystem::remove_all(system_root_, ignored);
}

void Machine::Reset(const std::vector<DeviceSettings>& devices) {
  std::vector<std::unique_ptr<ihipStream_t>> old_streams;
  {
    const Lock lock = Acquire();
    for (const std::unique_ptr<Gpu>& gpu : gpus_) Break(lock, *gpu, hipErrorUnknown);
    old_streams.swap(streams_);
  }
  old_streams.clear();  // without the lock: waits for their threads
  const Lock lock = Acquire();
  events_.clear();
  host_allocations_.clear();
  failures_.clear();
  calls_.clear();
  faults_.clear();
  gpus_.clear();
  for (const DeviceSettings& settings : devices) {
    gpus_.push_back(std::make_unique<Gpu>());
    gpus_.back()->index = static_cast<int>(gpus_.size()) - 1;
    gpus_.back()->settings = settings;
  }
  last_error = hipSuccess;
  WriteSystemTree(lock);
}

bool Machine::TakeFailure(const Lock&, const std::string& name, hipError_t* error) {
  const auto found = failures_.find(name);
  if (found == failures_.end() || found->second.after-- > 0) return false;
  *error = found->second.error;
  if (!found->second.forever) failures_.erase(found);
  return true;
}

hipError_t Machine::BeginCall(const char* function) {
  SettingsFile::Apply();
  const Lock lock = Acquire();
  ++calls_[function];
  hipError_t error = hipSuccess;
  TakeFailure(lock, function, &error);
  return error;
}

hipError_t Machine::BeginDeviceCall(const char* function) {
  const hipError_t error = BeginCall(function);
  if (error != hipSuccess) return error;
  const Lock lock = Acquire();
  Gpu* const gpu = FindGpu(lock, current_device);
  return gpu == nullptr ? hipErrorNoDevice : gpu->error;
}

Gpu* Machine::FindGpu(const Lock&, int device) {
  if (device < 0 || static_cast<size_t>(device) >= gpus_.size()) return nullptr;
  return gpus_[static_cast<size_t>(device)].get();
}

void Machine::AddFault(const Lock&, const std::string& message) {
  std::fprintf(stderr, "hip emulator: %s\n", message.c_str());
  faults_.push_back(message);
}

void Machine::Break(const Lock&, Gpu& gpu, hipError_t error) {
  if (gpu.error == hipSuccess) gpu.error = error;
  changed_.notify_all();
}

std::vector<std::string> Machine::TakeFaults() {
  const Lock lock = Acquire();
  return std::exchange(faults_, {});
}

void Machine::SetFailure(const std::string& name, const Failure& failure) {
  const Lock lock = Acquire();
  failures_[name] = failure;
}

const GuardedMemory* Machine::FindAllocation(const Lock&, const void* data, size_t bytes) const {
  const auto* const first = static_cast<const std::byte*>(data);
  for (const std::unique_ptr<Gpu>& gpu : gpus_) {
    auto next = gpu->allocations.upper_bound(first);
    if (next == gpu->allocations.begin()) continue;
    const GuardedMemory& memory = std::prev(next)->second;
    if (memory.Contains(first) &&
        bytes <= static_cast<size_t>(memory.data() + memory.bytes() - first))
      return &memory;
  }
  return nullptr;
}

bool Machine::IsDeviceMemory(const Lock& lock, const void* data) const {
  return FindAllocation(lock, data, 1) != nullptr;
}

std::string Machine::DescribeAddress(const void* address) {
  const Lock lock = Acquire();
  for (const std::unique_ptr<Gpu>& gpu : gpus_) {
    for (const auto& [data, memory] : gpu->allocations)
      if (memory.IsNear(address)) return DescribePlace(memory, "an allocation", address);
    for (const GuardedMemory& memory : gpu->retired)
      if (memory.IsNear(address)) return DescribePlace(memory, "a freed allocation", address);
  }
  return "";
}

void Machine::WriteSystemTree(const Lock&) {
  std::vector<SystemTreeGpu> shown;
  for (const std::unique_ptr<Gpu>& gpu : gpus_) {
    uint64_t late = 0;
    for (const Gpu::LateFree& freed : gpu->late_frees) late += freed.bytes;
    shown.push_back({.settings = gpu->settings, .used_bytes = gpu->held_bytes + late});
  }
  emulator::WriteSystemTree(system_root_, shown);
}

// --- control.h

void Reset(const std::vector<DeviceSettings>& devices) { Machine::Get().Reset(devices); }

namespace {

// Changes a device under the lock.
template <typename Change>
void OnGpu(int device, const Change& change) {
  Machine& machine = Machine::Get();
  const Machine::Lock lock = machine.Acquire();
  Gpu* const gpu = machine.FindGpu(lock, device);
  FORGE_CHECK(gpu != nullptr, "no emulated device " + std::to_string(device));
  change(lock, *gpu);
}

}  // namespace

void SetForeignBytes(int device, uint64_t bytes) {
  OnGpu(device, [&](const Machine::Lock& lock, Gpu& gpu) {
    gpu.settings.foreign_bytes = bytes;
    Machine::Get().WriteSystemTree(lock);
  });
}

void SetFreeLag(int device, int readings) {
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) { gpu.free_lag_readings = readings; });
}

std::filesystem::path SystemRoot() { return Machine::Get().system_root(); }
std::string SystemRootText() { return SystemRoot().string(); }

void FailCalls(const std::string& name, const Failure& failure) {
  Machine::Get().SetFailure(name, failure);
}

void LoseDevice(int device) {
  OnGpu(device, [&](const Machine::Lock& lock, Gpu& gpu) {
    Machine::Get().Break(lock, gpu, hipErrorUnknown);
  });
}

void LoseDeviceAtLaunch(int device, int after) {
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) {
    gpu.lost_at_launch = gpu.launches + static_cast<uint64_t>(after);
  });
}

void HangAtLaunch(int device, int after) {
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) {
    gpu.hang_at_launch = gpu.launches + static_cast<uint64_t>(after);
  });
}

void SetCopyRate(int device, uint64_t bytes_per_second) {
  OnGpu(device,
        [&](const Machine::Lock&, Gpu& gpu) { gpu.copy_bytes_per_second = bytes_per_second; });
}

void BreakOffsetCopies(int device, bool broken) {
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) { gpu.offset_copies_broken = broken; });
}

uint64_t Launches(int device) {
  uint64_t launches = 0;
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) { launches = gpu.launches; });
  return launches;
}

uint64_t Calls(const std::string& name) {
  Machine& machine = Machine::Get();
  return machine.calls(machine.Acquire(), name);
}

uint64_t HeldBytes(int device) {
  uint64_t bytes = 0;
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) { bytes = gpu.held_bytes; });
  return bytes;
}

int Allocations(int device) {
  size_t n = 0;
  OnGpu(device, [&](const Machine::Lock&, Gpu& gpu) { n = gpu.allocations.size(); });
  return static_cast<int>(n);
}

std::vector<std::string> TakeFaults() { return Machine::Get().TakeFaults(); }

}  // namespace forge::emulator

// --- Choosing a device, and errors

using forge::emulator::Machine;
using forge::emulator::Remember;

hipError_t hipSetDevice(int device) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipSetDevice")) return Remember(error);
  if (machine.FindGpu(machine.Acquire(), device) == nullptr) return Remember(hipErrorInvalidDevice);
  forge::emulator::current_device = device;
  return hipSuccess;
}

hipError_t hipGetDevice(int* device) {
  *device = forge::emulator::CurrentDevice();
  return hipSuccess;
}

hipError_t hipPeekAtLastError() { return forge::emulator::last_error; }

hipError_t hipGetLastError() { return std::exchange(forge::emulator::last_error, hipSuccess); }
