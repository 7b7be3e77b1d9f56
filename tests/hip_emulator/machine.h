#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/hip_emulator/control.h"
#include "tests/hip_emulator/fault.h"
#include "tests/hip_emulator/guarded_memory.h"
#include "tests/hip_emulator/hip_runtime.h"

namespace forge::emulator {

// A GPU: its settings, its memory, and what is to go wrong with it. Guarded by Machine's mutex.
struct Gpu {
  struct LateFree {
    uint64_t bytes;
    int readings_left;
  };

  int index = 0;
  DeviceSettings settings;
  uint64_t held_bytes = 0;
  int free_lag_readings = 0;
  std::deque<LateFree> late_frees;
  std::map<const std::byte*, GuardedMemory> allocations;  // by the address of their first byte
  std::deque<GuardedMemory> retired;  // freed not long ago: accesses still fault
  uint64_t copy_bytes_per_second = 0;
  bool offset_copies_broken = false;
  uint64_t launches = 0;
  std::optional<uint64_t> lost_at_launch;
  std::optional<uint64_t> hang_at_launch;
  hipError_t error = hipSuccess;  // every call fails with it once it is set
};

// All state of the emulated runtime. One exists, as there is one runtime in a process.
//
// Thread-safe: one mutex guards everything, and is not held while work of streams runs.
class Machine {
 public:
  static Machine& Get();

  using Lock = std::unique_lock<std::mutex>;
  Lock Acquire() { return Lock(mutex_); }

  // Begins a call of the runtime: counts it, and says whether it is to fail.
  hipError_t BeginCall(const char* function);
  // As BeginCall, and fails if the calling thread's device is lost.
  hipError_t BeginDeviceCall(const char* function);
  bool TakeFailure(const Lock&, const std::string& name, hipError_t* error);

  void Reset(const std::vector<DeviceSettings>& devices);
  // Null, and a fault, if there is no such device.
  Gpu* FindGpu(const Lock&, int device);
  int n_gpus(const Lock&) const { return static_cast<int>(gpus_.size()); }
  std::vector<std::unique_ptr<Gpu>>& gpus(const Lock&) { return gpus_; }

  void AddFault(const Lock&, const std::string& message);
  // Makes the device useless; wakes all who wait.
  void Break(const Lock&, Gpu& gpu, hipError_t error);
  std::string DescribeAddress(const void* address);
  // The allocation that holds all of [data, data + bytes) on any device, or null.
  const GuardedMemory* FindAllocation(const Lock&, const void* data, size_t bytes) const;
  bool IsDeviceMemory(const Lock&, const void* data) const;

  void WriteSystemTree(const Lock&);
  const std::filesystem::path& system_root() const { return system_root_; }
  std::condition_variable& changed() { return changed_; }
  std::vector<std::string> TakeFaults();
  uint64_t calls(const Lock&, const std::string& name) { return calls_[name]; }
  void CountCall(const Lock&, const std::string& name) { ++calls_[name]; }
  void SetFailure(const std::string& name, const Failure& failure);

  // Streams and events are registered, so that Reset can end them.
  std::vector<std::unique_ptr<ihipStream_t>>& streams(const Lock&) { return streams_; }
  std::vector<std::unique_ptr<ihipEvent_t>>& events(const Lock&) { return events_; }
  std::map<void*, GuardedMemory>& host_allocations(const Lock&) { return host_allocations_; }

 private:
  Machine();
  ~Machine();

  std::filesystem::path system_root_;  // constant after construction

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Gpu>> gpus_;
  std::map<std::string, Failure> failures_;
  std::map<std::string, uint64_t> calls_;
  std::vector<std::string> faults_;
  std::map<void*, GuardedMemory> host_allocations_;
  std::vector<std::unique_ptr<ihipEvent_t>> events_;
  std::vector<std::unique_ptr<ihipStream_t>> streams_;  // last: their threads use all the others
};

// The device that the calling thread has chosen.
int CurrentDevice();

// Keeps `error` for hipGetLastError of the calling thread, unless it is hipSuccess; returns it.
hipError_t Remember(hipError_t error);

}  // namespace forge::emulator
