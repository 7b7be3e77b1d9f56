#include "kernels/hip/device_report.h"

#include <cmath>
#include <string>
#include <vector>

#include "kernels/hip/driver_memory.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/hip_status.h"

namespace forge {
namespace {

constexpr int kNumbers = 1000;
constexpr float kCap = 30.0f;

// Runs an op over numbers of both signs and compares it with the host's.
Status RunKernel(Device& device, float* data) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Stream> stream, device.CreateStream());
  std::vector<float> numbers(kNumbers), got(kNumbers);
  for (int i = 0; i < kNumbers; ++i)
    numbers[static_cast<size_t>(i)] = 0.25f * static_cast<float>(i - 500);
  const uint64_t bytes = kNumbers * sizeof(float);
  FORGE_TRY(device.CopyIn(data, numbers.data(), bytes, *stream));
  FORGE_TRY(device.ops().soft_cap({.x = data, .y = data, .n = kNumbers, .cap = kCap}, *stream));
  FORGE_TRY(device.CopyOut(got.data(), data, bytes, *stream));
  FORGE_TRY(stream->Synchronize());
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = kCap * std::tanh(numbers[i] / kCap);
    if (!(std::abs(got[i] - want) <= 1e-4f))
      return Internal("a kernel computed " + std::to_string(got[i]) + " where " +
                      std::to_string(want) +
                      " is right; the runtime or the kernels do not fit "
                      "this GPU");
  }
  return Status();
}

Status TestKernel(Device& device) {
  FORGE_ASSIGN_OR_RETURN(void* const data, device.Allocate(kNumbers * sizeof(float)));
  const Status status = RunKernel(device, static_cast<float*>(data));
  device.Free(data, kNumbers * sizeof(float));
  return status;
}

Status Examine(int index, HipDeviceReport& report) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, CreateHipDevice({.index = index}));
  FORGE_ASSIGN_OR_RETURN(report.memory, device->ReadMemory());
  return TestKernel(*device);
}

}  // namespace

HipDeviceReport ExamineHipDevice(int index) {
  HipDeviceReport report;
  report.id = "hip:" + std::to_string(index);
  hipDeviceProp_t gpu = {};
  char pci_id[32] = {};
  report.self_test = CheckHip(hipGetDeviceProperties(&gpu, index), "hipGetDeviceProperties");
  if (!report.self_test.ok()) return report;
  report.self_test =
      CheckHip(hipDeviceGetPCIBusId(pci_id, sizeof(pci_id), index), "hipDeviceGetPCIBusId");
  if (!report.self_test.ok()) return report;
  report.name = gpu.name;
  report.target = TargetName(gpu);
  report.pci_id = pci_id;
  report.wave_size = gpu.warpSize;
  const std::optional<DriverMemory> driver = ReadDriverMemory(DefaultSystemRoot(), report.pci_id);
  report.has_driver_reading = driver.has_value();
  report.integrated = gpu.integrated != 0 || (driver && driver->looks_integrated);
  report.self_test = Examine(index, report);
  return report;
}

}  // namespace forge
