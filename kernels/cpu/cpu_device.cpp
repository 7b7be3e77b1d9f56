#include "kernels/cpu/cpu_device.h"

#include <atomic>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/causal_conv.h"
#include "kernels/cpu/combine_experts.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/delta_rule.h"
#include "kernels/cpu/expert_matmul.h"
#include "kernels/cpu/gather_rows.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/join_columns.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/multiply_columns.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/page_memory.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope_append.h"
#include "kernels/cpu/route_experts.h"
#include "kernels/cpu/sigmoid_gate.h"
#include "kernels/cpu/soft_cap.h"
#include "kernels/cpu/state_space.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/cpu/top_logits.h"

namespace forge {
namespace {

constexpr OpTable kOps = {
    .embed = CpuEmbed,
    .rms_norm = CpuRmsNorm,
    .matmul = CpuMatmul,
    .rope_append = CpuRopeAppend,
    .attention = CpuAttention,
    .gather_rows = CpuGatherRows,
    .join_columns = CpuJoinColumns,
    .sigmoid_gate = CpuSigmoidGate,
    .multiply_columns = CpuMultiplyColumns,
    .causal_conv = CpuCausalConv,
    .delta_rule = CpuDeltaRule,
    .state_space = CpuStateSpace,
    .soft_cap = CpuSoftCap,
    .route_experts = CpuRouteExperts,
    .expert_matmul = CpuExpertMatmul,
    .combine_experts = CpuCombineExperts,
    .top_logits = CpuTopLogits,
};

// The host's processor and memory. Its streams share one pool of threads; packing runs on the
// thread that calls, so that loading a model does not hold up the models that run.
class CpuDevice final : public Device {
 public:
  CpuDevice(std::unique_ptr<ThreadPool> pool, CpuLevel level, DeviceInfo info)
      : pool_(std::move(pool)), level_(level), info_(std::move(info)) {}

  const DeviceInfo& info() const override { return info_; }
  const OpTable& ops() const override { return kOps; }
  Result<std::unique_ptr<Stream>> CreateStream() override {
    return std::unique_ptr<Stream>(std::make_unique<CpuStream>(*pool_, level_));
  }

  Result<MemoryReading> ReadMemory() const override { return ReadHostMemory(); }
  Result<void*> Allocate(uint64_t bytes) override;
  void Free(void* data, uint64_t bytes) override;
  AllocationCount allocation_count() const override {
    return {.allocations = allocations_.load(), .bytes = allocated_bytes_.load()};
  }
  Status CopyIn(void* device_destination, const void* host_source, uint64_t bytes,
                Stream&) override {
    return Copy(device_destination, host_source, bytes);
  }
  Status CopyOut(void* host_destination, const void* device_source, uint64_t bytes,
                 Stream&) override {
    return Copy(host_destination, device_source, bytes);
  }

  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return CpuPackedWeightBytes(shape);
  }
  int64_t pack_row_multiple() const override { return kCpuPackRows; }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream&) override {
    return CpuPackRows(shape, first_row, n_rows, file_rows, packed);
  }

  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return CpuMatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return CpuAttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return CpuExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

 private:
  static Status Copy(void* to, const void* from, uint64_t bytes) {
    if (bytes == 0) return Status();
    if (to == nullptr || from == nullptr)
      return InvalidArgument("copy: source or destination is null, bytes " + std::to_string(bytes));
    std::memcpy(to, from, bytes);
    return Status();
  }

  // Constant after construction.
  const std::unique_ptr<ThreadPool> pool_;
  const CpuLevel level_;
  const DeviceInfo info_;

  std::atomic<uint64_t> allocations_ = 0;
  std::atomic<uint64_t> allocated_bytes_ = 0;
};

Result<void*> CpuDevice::Allocate(uint64_t bytes) {
  if (bytes == 0) return InvalidArgument("cpu: cannot allocate 0 bytes");
  // Asked before any page is touched: past a cgroup's limit the kernel kills instead of failing.
  FORGE_ASSIGN_OR_RETURN(const MemoryReading memory, ReadMemory());
  if (bytes > memory.free_bytes)
    return ResourceExhausted("cpu: not enough free memory: requested " + std::to_string(bytes) +
                             " bytes, free " + std::to_string(memory.free_bytes))
        .WithDetail("requestedBytes", bytes)
        .WithDetail("freeBytes", memory.free_bytes);
  FORGE_ASSIGN_OR_RETURN(void* data, AllocatePages(bytes));
  allocations_.fetch_add(1);
  allocated_bytes_.fetch_add(bytes);
  return data;
}

void CpuDevice::Free(void* data, uint64_t bytes) {
  if (data == nullptr) return;
  FreePages(data, bytes);
  const uint64_t allocations = allocations_.fetch_sub(1);
  const uint64_t allocated = allocated_bytes_.fetch_sub(bytes);
  FORGE_CHECK(allocations > 0 && allocated >= bytes, "freed more than was allocated");
}

std::string LevelForPeople(CpuLevel level) {
  switch (level) {
    case CpuLevel::kAmx:
      return "AMX-BF16, AVX-512 VNNI";
    case CpuLevel::kAvx512:
      return "AVX-512 VNNI";
    case CpuLevel::kAvxVnni:
      return "AVX2, AVX-VNNI";
    case CpuLevel::kAvx2:
      return "AVX2";
    case CpuLevel::kPortable:
      return "portable kernels";
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<Device>> CreateCpuDevice(const CpuDeviceOptions& options) {
  if (options.n_threads < 0)
    return InvalidArgument("cpu: the number of threads is negative: " +
                           std::to_string(options.n_threads));
  const int n_threads = options.n_threads == 0 ? CountUsableCpus() : options.n_threads;
  FORGE_ASSIGN_OR_RETURN(const CpuLevel level, Result<CpuLevel>(CpuLevelInUse()));
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<ThreadPool> pool, ThreadPool::Create(n_threads));
  DeviceInfo info = {.id = "cpu",
                     .description = ReadCpuName() + ", " + LevelForPeople(level) + ", " +
                                    std::to_string(n_threads) +
                                    (n_threads == 1 ? " thread" : " threads"),
                     .max_draft_tokens = options.max_draft_tokens};
  return std::unique_ptr<Device>(
      std::make_unique<CpuDevice>(std::move(pool), level, std::move(info)));
}

}  // namespace forge
