#include "kernels/hip/device_report.h"

#include <string>

#include "kernels/hip/driver_memory.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/hip_status.h"

namespace forge {
namespace {

Status Examine(int index, HipDeviceReport& report) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, CreateHipDevice({.index = index}));
  FORGE_ASSIGN_OR_RETURN(report.memory, device->ReadMemory());
  return Status();
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
