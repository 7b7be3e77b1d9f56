#include "kernels/hip/hip_device.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/base/mutex.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/hip/copy_self_test.h"
#include "kernels/hip/driver_memory.h"
#include "kernels/hip/gpu_matrix.h"
#include "kernels/hip/hip_ops.h"
#include "kernels/hip/hip_status.h"
#include "kernels/hip/hip_stream.h"
#include "kernels/hip/kernel_self_test.h"
#include "kernels/hip/pack.h"

namespace forge {
namespace {

namespace fs = std::filesystem;

// What does not change of a device.
struct HipProperties {
  DeviceInfo info;
  std::string pci_id;
  std::string target;               // its instruction set: "gfx1100"
  bool shares_host_memory = false;  // an integrated GPU without much memory carved out for it
  HipTraits traits;
};

class HipDevice final : public Device {
 public:
  HipDevice(HipProperties properties, fs::path system_root, const HipDeviceOptions& options)
      : properties_(std::move(properties)),
        system_root_(std::move(system_root)),
        context_(options.index, properties_.info.id, properties_.traits, options.hang_limit,
                 options.uses_graphs) {}

  // Finds out whether copies from within allocations work.
  Status TestCopies();

  const DeviceInfo& info() const override { return properties_.info; }
  const OpTable& ops() const override { return HipOps(); }
  Result<std::unique_ptr<Stream>> CreateStream() override;

  Result<MemoryReading> ReadMemory() const override;
  Result<void*> Allocate(uint64_t bytes) override;
  void Free(void* data, uint64_t bytes) override;
  AllocationCount allocation_count() const override;
  Status CopyIn(void* device_destination, const void* host_source, uint64_t bytes,
                Stream& stream) override;
  Status CopyOut(void* host_destination, const void* device_source, uint64_t bytes,
                 Stream& stream) override;

  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return HipPackedWeightBytes(shape);
  }
  int64_t pack_row_multiple() const override { return kHipPackRows; }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream& stream) override;

  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return HipMatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return HipAttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return HipExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

 private:
  Result<MemoryReading> ReadSharedMemory(const DriverMemory& driver) const;
  bool IsWholeAllocation(const void* data, uint64_t bytes) const;

  // Constant once created.
  const HipProperties properties_;
  const fs::path system_root_;
  bool offset_copies_work_ = false;

  mutable HipContext context_;
  mutable Mutex mutex_;
  std::map<const void*, uint64_t> allocations_ FORGE_GUARDED_BY(mutex_);  // bytes, by address
};

Status HipDevice::TestCopies() {
  FORGE_ASSIGN_OR_RETURN(offset_copies_work_, OffsetCopiesWork(context_));
  return Status();
}

Result<std::unique_ptr<Stream>> HipDevice::CreateStream() {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<HipStream> stream, HipStream::Create(context_));
  return std::unique_ptr<Stream>(std::move(stream));
}

// --- Memory

Result<MemoryReading> HipDevice::ReadMemory() const {
  FORGE_TRY(context_.Select());
  size_t free = 0, total = 0;
  FORGE_TRY(context_.Check(hipMemGetInfo(&free, &total), "hipMemGetInfo"));
  const std::optional<DriverMemory> driver = ReadDriverMemory(system_root_, properties_.pci_id);
  if (driver && properties_.shares_host_memory) return ReadSharedMemory(*driver);
  MemoryReading reading = {.total_bytes = total,
                           .free_bytes = free,
                           .runtime_free_bytes = free,
                           .driver_free_bytes = free};
  if (driver)
    reading.driver_free_bytes =
        driver->vram_total - std::min(driver->vram_total, driver->vram_used);
  reading.free_bytes = std::min(reading.runtime_free_bytes, reading.driver_free_bytes);
  reading.process_bytes = ReadProcessMemory(system_root_, properties_.pci_id);
  return reading;
}

// The runtime's figures of an integrated GPU do not say how much of the host's memory is left: its
// free memory has been seen to exceed its total.
Result<MemoryReading> HipDevice::ReadSharedMemory(const DriverMemory& driver) const {
  FORGE_ASSIGN_OR_RETURN(const MemoryReading host, ReadHostMemory(system_root_));
  MemoryReading reading = {
      .total_bytes = driver.gtt_total,
      .runtime_free_bytes = host.runtime_free_bytes,
      .driver_free_bytes = driver.gtt_total - std::min(driver.gtt_total, driver.gtt_used)};
  reading.free_bytes = std::min(reading.runtime_free_bytes, reading.driver_free_bytes);
  return reading;
}

Result<void*> HipDevice::Allocate(uint64_t bytes) {
  const std::string& id = properties_.info.id;
  if (bytes == 0) return InvalidArgument(id + ": cannot allocate 0 bytes");
  FORGE_TRY(context_.Select());
  void* data = nullptr;
  const Status status = context_.Check(hipMalloc(&data, bytes),
                                       id + ": allocating " + std::to_string(bytes) + " bytes");
  if (!status.ok()) return status.WithDetail("requestedBytes", bytes);
  const MutexLock lock(mutex_);
  allocations_[data] = bytes;
  return data;
}

void HipDevice::Free(void* data, uint64_t bytes) {
  if (data == nullptr) return;
  {
    const MutexLock lock(mutex_);
    const auto found = allocations_.find(data);
    FORGE_CHECK(found != allocations_.end() && found->second == bytes,
                "freed what was not allocated");
    allocations_.erase(found);
  }
  // hipFree waits for the whole device, for ever if it hangs.
  if (!context_.Drain().ok()) return;
  static_cast<void>(
      context_.Check(hipFree(data), "hipFree"));  // a fault of it marks the device lost
}

AllocationCount HipDevice::allocation_count() const {
  const MutexLock lock(mutex_);
  AllocationCount count = {.allocations = allocations_.size()};
  for (const auto& [data, bytes] : allocations_) count.bytes += bytes;
  return count;
}

// --- Copies

Status CheckCopy(const void* to, const void* from, uint64_t bytes) {
  if (to != nullptr && from != nullptr) return Status();
  return InvalidArgument("copy: source or destination is null, bytes " + std::to_string(bytes));
}

Status HipDevice::CopyIn(void* device_destination, const void* host_source, uint64_t bytes,
                         Stream& stream) {
  if (bytes == 0) return Status();
  FORGE_TRY(CheckCopy(device_destination, host_source, bytes));
  return AsHip(stream).CopyIn(device_destination, host_source, bytes);
}

Status HipDevice::CopyOut(void* host_destination, const void* device_source, uint64_t bytes,
                          Stream& stream) {
  if (bytes == 0) return Status();
  FORGE_TRY(CheckCopy(host_destination, device_source, bytes));
  const bool through_whole = !offset_copies_work_ && !IsWholeAllocation(device_source, bytes);
  return AsHip(stream).CopyOut(host_destination, device_source, bytes, through_whole);
}

bool HipDevice::IsWholeAllocation(const void* data, uint64_t bytes) const {
  const MutexLock lock(mutex_);
  const auto found = allocations_.find(data);
  return found != allocations_.end() && found->second == bytes;
}

Status HipDevice::PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                           const std::byte* file_rows, void* packed, Stream& stream) {
  FORGE_ASSIGN_OR_RETURN(const uint64_t row_bytes, HipPackedRowBytes(shape));
  if (first_row < 0 || n_rows < 0 || n_rows > shape.n_rows - first_row)
    return InvalidArgument("pack: rows " + std::to_string(first_row) + " to " +
                           std::to_string(first_row + n_rows) + " of a matrix of " +
                           std::to_string(shape.n_rows));
  if (row_bytes > HipStream::kUploadBytes)
    return Unimplemented("pack: a row of " + std::to_string(row_bytes) + " bytes; at most " +
                         std::to_string(HipStream::kUploadBytes) + " can be uploaded");
  const FormatInfo& format = *FindFormat(shape.dtype);
  const uint64_t file_row_bytes =
      static_cast<uint64_t>(shape.n_cols) / format.block_elements * format.block_bytes;
  const auto rows_at_once = static_cast<int64_t>(HipStream::kUploadBytes / row_bytes);
  for (int64_t row = 0; row < n_rows; row += rows_at_once) {
    const int64_t n = std::min(rows_at_once, n_rows - row);
    const std::byte* const from = file_rows + static_cast<uint64_t>(row) * file_row_bytes;
    std::byte* const to =
        static_cast<std::byte*>(packed) + static_cast<uint64_t>(first_row + row) * row_bytes;
    FORGE_TRY(AsHip(stream).Upload(
        to, static_cast<uint64_t>(n) * row_bytes,
        [&](std::byte* staged) { return HipPackRows(shape, n, from, staged); }));
  }
  return Status();
}

// --- Creation

constexpr std::string_view kNoGpuAdvice = "; `forgectl doctor` says what is missing";

std::string GibText(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

Result<HipProperties> ReadProperties(int index, const fs::path& root) {
  hipDeviceProp_t gpu = {};
  FORGE_TRY(CheckHip(hipGetDeviceProperties(&gpu, index), "hipGetDeviceProperties"));
  char pci_id[32] = {};
  FORGE_TRY(CheckHip(hipDeviceGetPCIBusId(pci_id, sizeof(pci_id), index), "hipDeviceGetPCIBusId"));
  HipProperties properties;
  properties.pci_id = pci_id;
  properties.target = TargetName(gpu);
  properties.info.id = "hip:" + std::to_string(index);
  properties.traits = {.wave_size = gpu.warpSize,
                       .n_units = gpu.multiProcessorCount,
                       .shared_bytes = static_cast<int>(gpu.sharedMemPerBlock),
                       .has_matrix_units = HasMatrixUnits(properties.target),
                       .flushes_subnormals = FlushesSubnormals(properties.target)};
  if (gpu.warpSize != 32 && gpu.warpSize != 64)
    return Unimplemented(properties.info.id + " has waves of " + std::to_string(gpu.warpSize) +
                         " lanes; there are kernels for 32 and 64");
  const std::optional<DriverMemory> driver = ReadDriverMemory(root, properties.pci_id);
  const bool is_integrated = gpu.integrated != 0 || (driver && driver->looks_integrated);
  properties.shares_host_memory = is_integrated && (!driver || driver->PrefersGtt());
  properties.info.description =
      std::string(gpu.name) + ", " + properties.target + ", " +
      GibText(properties.shares_host_memory && driver ? driver->gtt_total : gpu.totalGlobalMem) +
      (properties.shares_host_memory ? " shared with the host" : "");
  return properties;
}

fs::path RootOf(const HipDeviceOptions& options) {
  return options.system_root.empty() ? fs::path(DefaultSystemRoot()) : options.system_root;
}

}  // namespace

Result<int> CountHipDevices() {
  int count = 0;
  const hipError_t error = hipGetDeviceCount(&count);
  if (error == hipSuccess && count > 0) return count;
  const std::string said =
      error == hipSuccess ? "shows no device" : "answers " + std::string(hipGetErrorName(error));
  return Unavailable("there is no usable GPU: the runtime " + said + std::string(kNoGpuAdvice));
}

Result<std::unique_ptr<Device>> CreateHipDevice(const HipDeviceOptions& options) {
  FORGE_ASSIGN_OR_RETURN(const int count, CountHipDevices());
  if (options.index < 0 || options.index >= count)
    return NotFound("there is no device hip:" + std::to_string(options.index) +
                    "; the runtime has " + std::to_string(count) + ", from hip:0");
  const fs::path root = RootOf(options);
  FORGE_ASSIGN_OR_RETURN(HipProperties properties, ReadProperties(options.index, root));
  const std::string target = properties.target;
  auto device = std::make_unique<HipDevice>(std::move(properties), root, options);
  FORGE_TRY(device->TestCopies());
  FORGE_TRY(TestKernel(*device, target));
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace forge
