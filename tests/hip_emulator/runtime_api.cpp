// The HIP runtime's functions that concern devices, memory, streams and events.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/hip_emulator/machine.h"
#include "tests/hip_emulator/stream_queue.h"
#include "tests/hip_emulator/system_tree.h"

using forge::emulator::CurrentDevice;
using forge::emulator::Gpu;
using forge::emulator::GuardedMemory;
using forge::emulator::Machine;
using forge::emulator::Remember;

namespace {

constexpr size_t kRetiredAllocations = 64;

// Full speed where a vector load is likely, else as close to the guard page as a float4 allows.
size_t Alignment(size_t bytes) { return bytes % 64 == 0 ? 64 : 16; }

void WaitUntilIdle(Machine& machine, Machine::Lock& lock, const Gpu& gpu) {
  const auto idle = [&] {
    for (const std::unique_ptr<ihipStream_t>& stream : machine.streams(lock))
      if (&stream->gpu() == &gpu && !stream->idle(lock)) return false;
    return true;
  };
  while (!idle()) machine.changed().wait(lock);
}

std::string Hex(const void* address) {
  char text[32];
  std::snprintf(text, sizeof(text), "%p", address);
  return text;
}

// Checks a copy as a strict runtime would: device ranges lie within one allocation each.
bool CheckCopy(Machine& machine, const Machine::Lock& lock, const void* to, const void* from,
               size_t bytes, hipMemcpyKind kind) {
  const bool to_device = kind != hipMemcpyDeviceToHost;
  const bool from_device = kind != hipMemcpyHostToDevice;
  const auto check = [&](const void* data, bool is_device, const char* side) {
    const bool good = is_device ? machine.FindAllocation(lock, data, bytes) != nullptr
                                : !machine.IsDeviceMemory(lock, data);
    if (good) return true;
    machine.AddFault(lock, std::string("a copy of ") + std::to_string(bytes) + " bytes has a " +
                               side + " at " + Hex(data) +
                               (is_device ? " that is not within one allocation of a device"
                                          : " that is device memory, though it is said to be the "
                                            "host's"));
    return false;
  };
  return check(to, to_device, "destination") && check(from, from_device, "source");
}

// Runs on a stream's thread.
void CopyNow(Gpu& gpu, void* to, const void* from, size_t bytes, hipMemcpyKind kind) {
  Machine& machine = Machine::Get();
  uint64_t rate = 0;
  {
    const Machine::Lock lock = machine.Acquire();
    rate = gpu.copy_bytes_per_second;
    if (kind == hipMemcpyDeviceToHost && gpu.offset_copies_broken) {
      const GuardedMemory* const memory = machine.FindAllocation(lock, from, bytes);
      if (memory != nullptr) from = memory->data();
    }
  }
  if (rate > 0)
    std::this_thread::sleep_for(
        std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate)));
  std::memcpy(to, from, bytes);
}

// Whether `stream` may be used by this thread now.
hipError_t CheckStream(Machine& machine, const Machine::Lock& lock, const char* function,
                       hipStream_t stream) {
  for (const std::unique_ptr<ihipStream_t>& known : machine.streams(lock)) {
    if (known.get() != stream) continue;
    if (stream->gpu().index == CurrentDevice()) return stream->gpu().error;
    machine.AddFault(lock, std::string(function) + ": the stream belongs to device " +
                               std::to_string(stream->gpu().index) + ", the thread has chosen " +
                               std::to_string(CurrentDevice()));
    return hipErrorInvalidValue;
  }
  machine.AddFault(lock,
                   std::string(function) + ": no such stream; the default stream is not emulated");
  return hipErrorInvalidValue;
}

}  // namespace

const char* hipGetErrorName(hipError_t error) {
  switch (error) {
    case hipSuccess:
      return "hipSuccess";
    case hipErrorInvalidValue:
      return "hipErrorInvalidValue";
    case hipErrorOutOfMemory:
      return "hipErrorOutOfMemory";
    case hipErrorNotInitialized:
      return "hipErrorNotInitialized";
    case hipErrorInvalidConfiguration:
      return "hipErrorInvalidConfiguration";
    case hipErrorInsufficientDriver:
      return "hipErrorInsufficientDriver";
    case hipErrorNoDevice:
      return "hipErrorNoDevice";
    case hipErrorInvalidDevice:
      return "hipErrorInvalidDevice";
    case hipErrorInvalidDeviceFunction:
      return "hipErrorInvalidDeviceFunction";
    case hipErrorNoBinaryForGpu:
      return "hipErrorNoBinaryForGpu";
    case hipErrorInvalidHandle:
      return "hipErrorInvalidHandle";
    case hipErrorIllegalState:
      return "hipErrorIllegalState";
    case hipErrorLaunchOutOfResources:
      return "hipErrorLaunchOutOfResources";
    case hipErrorNotReady:
      return "hipErrorNotReady";
    case hipErrorIllegalAddress:
      return "hipErrorIllegalAddress";
    case hipErrorLaunchFailure:
      return "hipErrorLaunchFailure";
    case hipErrorNotSupported:
      return "hipErrorNotSupported";
    case hipErrorUnknown:
      break;
  }
  return "hipErrorUnknown";
}

const char* hipGetErrorString(hipError_t error) {
  return error == hipErrorOutOfMemory ? "out of memory" : "an error of the emulated runtime";
}

// --- Devices

hipError_t hipRuntimeGetVersion(int* version) {
  *version = 50200000;
  return Remember(Machine::Get().BeginCall("hipRuntimeGetVersion"));
}

hipError_t hipDriverGetVersion(int* version) {
  *version = 50200000;
  return Remember(Machine::Get().BeginCall("hipDriverGetVersion"));
}

hipError_t hipGetDeviceCount(int* count) {
  Machine& machine = Machine::Get();
  *count = 0;
  if (const hipError_t error = machine.BeginCall("hipGetDeviceCount")) return Remember(error);
  *count = machine.n_gpus(machine.Acquire());
  return Remember(*count == 0 ? hipErrorNoDevice : hipSuccess);
}

hipError_t hipGetDeviceProperties(hipDeviceProp_t* properties, int device) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipGetDeviceProperties")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  const Gpu* const gpu = machine.FindGpu(lock, device);
  if (gpu == nullptr) return Remember(hipErrorInvalidDevice);
  const forge::emulator::DeviceSettings& settings = gpu->settings;
  *properties = {};
  std::strncpy(properties->name, settings.name.c_str(), sizeof(properties->name) - 1);
  std::strncpy(properties->gcnArchName, settings.target.c_str(),
               sizeof(properties->gcnArchName) - 1);
  properties->totalGlobalMem = settings.memory_bytes;
  properties->sharedMemPerBlock = settings.shared_bytes;
  properties->warpSize = settings.wave_size;
  properties->maxThreadsPerBlock = 1024;
  properties->maxGridSize[0] = 0x7fffffff;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->multiProcessorCount = settings.n_units;
  properties->pciBusID = 3 + device;
  properties->integrated = settings.integrated ? 1 : 0;
  return hipSuccess;
}

hipError_t hipDeviceGetPCIBusId(char* id, int length, int device) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipDeviceGetPCIBusId")) return Remember(error);
  if (machine.FindGpu(machine.Acquire(), device) == nullptr) return Remember(hipErrorInvalidDevice);
  std::snprintf(id, static_cast<size_t>(length), "%s", forge::emulator::PciId(device).c_str());
  return hipSuccess;
}

hipError_t hipDeviceSynchronize() {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipDeviceSynchronize"))
    return Remember(error);
  Machine::Lock lock = machine.Acquire();
  const Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
  WaitUntilIdle(machine, lock, gpu);
  return Remember(gpu.error);
}

// --- Memory

hipError_t hipMemGetInfo(size_t* free, size_t* total) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipMemGetInfo")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
  for (Gpu::LateFree& freed : gpu.late_frees) --freed.readings_left;
  while (!gpu.late_frees.empty() && gpu.late_frees.front().readings_left < 0)
    gpu.late_frees.pop_front();
  machine.WriteSystemTree(lock);
  *total = gpu.settings.memory_bytes;
  const uint64_t used =
      gpu.held_bytes + (gpu.settings.runtime_sees_foreign ? gpu.settings.foreign_bytes : 0);
  *free = *total - std::min<uint64_t>(*total, used);
  return hipSuccess;
}

hipError_t hipMalloc(void** data, size_t bytes) {
  *data = nullptr;
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipMalloc")) return Remember(error);
  if (bytes == 0) return hipSuccess;
  {
    const Machine::Lock lock = machine.Acquire();
    Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
    const uint64_t used = gpu.held_bytes + gpu.settings.foreign_bytes;
    if (used > gpu.settings.memory_bytes || bytes > gpu.settings.memory_bytes - used)
      return Remember(hipErrorOutOfMemory);
    gpu.held_bytes += bytes;
  }
  GuardedMemory memory(bytes, Alignment(bytes));  // slow for large ones, so without the lock
  const Machine::Lock lock = machine.Acquire();
  Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
  if (memory.data() == nullptr) {
    gpu.held_bytes -= bytes;
    return Remember(hipErrorOutOfMemory);
  }
  *data = memory.data();
  gpu.allocations.emplace(memory.data(), std::move(memory));
  machine.WriteSystemTree(lock);
  return hipSuccess;
}

hipError_t hipFree(void* data) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipFree")) return Remember(error);
  if (data == nullptr) return hipSuccess;
  Machine::Lock lock = machine.Acquire();
  Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
  WaitUntilIdle(machine, lock, gpu);
  const auto found = gpu.allocations.find(static_cast<const std::byte*>(data));
  if (found == gpu.allocations.end()) {
    machine.AddFault(lock, "hipFree of " + Hex(data) + ", which device " +
                               std::to_string(gpu.index) + " did not allocate");
    return Remember(hipErrorInvalidValue);
  }
  if (!found->second.Intact())
    machine.AddFault(lock, "an allocation of " + std::to_string(found->second.bytes()) +
                               " bytes was written past its end");
  const uint64_t bytes = found->second.bytes();
  gpu.held_bytes -= bytes;
  if (gpu.free_lag_readings > 0) gpu.late_frees.push_back({bytes, gpu.free_lag_readings});
  found->second.Retire();
  gpu.retired.push_back(std::move(found->second));
  if (gpu.retired.size() > kRetiredAllocations) gpu.retired.pop_front();
  gpu.allocations.erase(found);
  machine.WriteSystemTree(lock);
  return hipSuccess;
}

hipError_t hipHostMalloc(void** data, size_t bytes, unsigned) {
  *data = nullptr;
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipHostMalloc")) return Remember(error);
  GuardedMemory memory(bytes, Alignment(bytes));
  if (memory.data() == nullptr) return Remember(hipErrorOutOfMemory);
  const Machine::Lock lock = machine.Acquire();
  *data = memory.data();
  machine.host_allocations(lock).emplace(*data, std::move(memory));
  return hipSuccess;
}

hipError_t hipHostFree(void* data) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipHostFree")) return Remember(error);
  if (data == nullptr) return hipSuccess;
  Machine::Lock lock = machine.Acquire();
  // As ROCm's does (clr, ihipFree): a kernel may still read it.
  WaitUntilIdle(machine, lock, *machine.FindGpu(lock, CurrentDevice()));
  return Remember(machine.host_allocations(lock).erase(data) == 1 ? hipSuccess
                                                                  : hipErrorInvalidValue);
}

hipError_t hipMemcpyAsync(void* to, const void* from, size_t bytes, hipMemcpyKind kind,
                          hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipMemcpyAsync")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipMemcpyAsync", stream))
    return Remember(error);
  if (bytes == 0) return hipSuccess;
  if (!CheckCopy(machine, lock, to, from, bytes, kind)) return Remember(hipErrorInvalidValue);
  Gpu& gpu = stream->gpu();
  stream->Enqueue(lock, [&gpu, to, from, bytes, kind] { CopyNow(gpu, to, from, bytes, kind); });
  return hipSuccess;
}

hipError_t hipMemsetAsync(void* data, int value, size_t bytes, hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipMemsetAsync")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipMemsetAsync", stream))
    return Remember(error);
  if (bytes == 0) return hipSuccess;
  if (machine.FindAllocation(lock, data, bytes) == nullptr) {
    machine.AddFault(lock, "hipMemsetAsync of " + std::to_string(bytes) +
                               " bytes that are not within one allocation");
    return Remember(hipErrorInvalidValue);
  }
  stream->Enqueue(lock, [data, value, bytes] { std::memset(data, value, bytes); });
  return hipSuccess;
}

// --- Streams and events

hipError_t hipStreamCreateWithFlags(hipStream_t* stream, unsigned) {
  Machine& machine = Machine::Get();
  *stream = nullptr;
  if (const hipError_t error = machine.BeginDeviceCall("hipStreamCreateWithFlags"))
    return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  machine.streams(lock).push_back(
      std::make_unique<ihipStream_t>(*machine.FindGpu(lock, CurrentDevice())));
  *stream = machine.streams(lock).back().get();
  return hipSuccess;
}

hipError_t hipStreamDestroy(hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipStreamDestroy")) return Remember(error);
  std::unique_ptr<ihipStream_t> gone;
  {
    Machine::Lock lock = machine.Acquire();
    auto& streams = machine.streams(lock);
    const auto found =
        std::find_if(streams.begin(), streams.end(),
                     [&](const std::unique_ptr<ihipStream_t>& s) { return s.get() == stream; });
    if (found == streams.end()) return Remember(hipErrorInvalidValue);
    while (!stream->idle(lock) && stream->gpu().error == hipSuccess) machine.changed().wait(lock);
    gone = std::move(
        *std::find_if(streams.begin(), streams.end(),
                      [&](const std::unique_ptr<ihipStream_t>& s) { return s.get() == stream; }));
    std::erase(streams, nullptr);
  }
  return hipSuccess;  // and `gone` waits for the stream's thread, without the lock
}

hipError_t hipStreamSynchronize(hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipStreamSynchronize"))
    return Remember(error);
  Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipStreamSynchronize", stream))
    return Remember(error);
  while (!stream->idle(lock)) machine.changed().wait(lock);
  return Remember(stream->gpu().error);
}

hipError_t hipStreamQuery(hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipStreamQuery")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipStreamQuery", stream))
    return Remember(error);
  return stream->idle(lock) ? hipSuccess : hipErrorNotReady;
}

hipError_t hipEventCreateWithFlags(hipEvent_t* event, unsigned) {
  Machine& machine = Machine::Get();
  *event = nullptr;
  if (const hipError_t error = machine.BeginDeviceCall("hipEventCreateWithFlags"))
    return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  machine.events(lock).push_back(std::make_unique<ihipEvent_t>());
  *event = machine.events(lock).back().get();
  return hipSuccess;
}

hipError_t hipEventDestroy(hipEvent_t event) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginCall("hipEventDestroy")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  const size_t erased = std::erase_if(
      machine.events(lock),
      [&](const std::unique_ptr<ihipEvent_t>& known) { return known.get() == event; });
  return Remember(erased == 1 ? hipSuccess : hipErrorInvalidValue);
}

hipError_t hipEventRecord(hipEvent_t event, hipStream_t stream) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipEventRecord")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipEventRecord", stream))
    return Remember(error);
  const uint64_t count = ++event->recorded;
  stream->Enqueue(lock, [event, count] {
    Machine& owner = Machine::Get();
    const Machine::Lock passed = owner.Acquire();
    event->reached = count;
    event->time = std::chrono::steady_clock::now();
    owner.changed().notify_all();
  });
  return hipSuccess;
}

hipError_t hipEventQuery(hipEvent_t event) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipEventQuery")) return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  return event->reached == event->recorded ? hipSuccess : hipErrorNotReady;
}

hipError_t hipEventSynchronize(hipEvent_t event) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipEventSynchronize"))
    return Remember(error);
  Machine::Lock lock = machine.Acquire();
  const Gpu& gpu = *machine.FindGpu(lock, CurrentDevice());
  while (event->reached != event->recorded && gpu.error == hipSuccess) machine.changed().wait(lock);
  return Remember(gpu.error);
}

hipError_t hipEventElapsedTime(float* milliseconds, hipEvent_t start, hipEvent_t stop) {
  Machine& machine = Machine::Get();
  const Machine::Lock lock = machine.Acquire();
  if (start->reached == 0 || stop->reached == 0) return Remember(hipErrorInvalidValue);
  *milliseconds = std::chrono::duration<float, std::milli>(stop->time - start->time).count();
  return hipSuccess;
}

hipError_t hipStreamWaitEvent(hipStream_t stream, hipEvent_t event, unsigned) {
  Machine& machine = Machine::Get();
  if (const hipError_t error = machine.BeginDeviceCall("hipStreamWaitEvent"))
    return Remember(error);
  const Machine::Lock lock = machine.Acquire();
  if (const hipError_t error = CheckStream(machine, lock, "hipStreamWaitEvent", stream))
    return Remember(error);
  const Gpu& gpu = stream->gpu();
  stream->Enqueue(lock, [event, count = event->recorded, &gpu] {
    Machine& owner = Machine::Get();
    Machine::Lock waiting = owner.Acquire();
    while (event->reached < count && gpu.error == hipSuccess) owner.changed().wait(waiting);
  });
  return hipSuccess;
}
