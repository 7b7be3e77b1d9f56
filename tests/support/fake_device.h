#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "kernels/api/device.h"
#include "kernels/base/mutex.h"

namespace forge::testing {

// A device of any size: computes on the CPU device and takes real memory from it, but answers for
// its memory from figures of its own, and fails where a test wants it to.
//
// Thread-safe; the settings may change while others use the device.
class FakeDevice final : public Device {
 public:
  // `total_bytes` is the fake size; n_threads as in CpuDeviceOptions.
  static Result<std::unique_ptr<FakeDevice>> Create(uint64_t total_bytes, int n_threads = 1,
                                                    const std::string& id = "cpu");

  // --- Settings
  void set_total_bytes(uint64_t bytes);
  // Memory that other processes hold.
  void set_foreign_bytes(uint64_t bytes);
  // Freed bytes count as free only after this many further ReadMemory calls, as drivers do that
  // give memory back late. Allocate knows the true figure. Applies to bytes freed from now on.
  void set_free_lag_readings(int readings);
  // The k-th Allocate from now on fails, 1 being the next, and with `for_ever` all after it; 0:
  // none.
  void FailAllocation(int k, bool for_ever = false);
  void FailAllAllocations(bool fail);
  // ReadMemory answers kUnavailable.
  void FailReadings(bool fail);

  // --- What happened
  uint64_t allocate_calls() const { return allocate_calls_.load(); }  // failed ones included
  uint64_t reading_calls() const { return reading_calls_.load(); }
  uint64_t context_releases() const { return context_releases_.load(); }

  // --- Device
  const DeviceInfo& info() const override { return info_; }
  const OpTable& ops() const override { return cpu_->ops(); }
  Result<std::unique_ptr<Stream>> CreateStream() override { return cpu_->CreateStream(); }
  Result<MemoryReading> ReadMemory() const override;
  Result<void*> Allocate(uint64_t bytes) override;
  void Free(void* data, uint64_t bytes) override;
  void ReleaseContext() override { context_releases_.fetch_add(1); }
  AllocationCount allocation_count() const override { return cpu_->allocation_count(); }
  Status CopyIn(void* device_destination, const void* host_source, uint64_t bytes,
                Stream& stream) override {
    return cpu_->CopyIn(device_destination, host_source, bytes, stream);
  }
  Status CopyOut(void* host_destination, const void* device_source, uint64_t bytes,
                 Stream& stream) override {
    return cpu_->CopyOut(host_destination, device_source, bytes, stream);
  }
  Result<uint64_t> PackedWeightBytes(const WeightShape& shape) const override {
    return cpu_->PackedWeightBytes(shape);
  }
  int64_t pack_row_multiple() const override { return cpu_->pack_row_multiple(); }
  Status PackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                  const std::byte* file_rows, void* packed, Stream& stream) override {
    return cpu_->PackRows(shape, first_row, n_rows, file_rows, packed, stream);
  }
  uint64_t MatmulWorkspaceBytes(int max_tokens, int64_t max_cols) const override {
    return cpu_->MatmulWorkspaceBytes(max_tokens, max_cols);
  }
  uint64_t AttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) const override {
    return cpu_->AttentionWorkspaceBytes(max_tokens, n_heads, value_dim);
  }
  uint64_t ExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols,
                                      int max_experts) const override {
    return cpu_->ExpertMatmulWorkspaceBytes(max_pairs, max_cols, max_experts);
  }

 private:
  // Freed memory that readings do not show yet.
  struct LateFree {
    uint64_t bytes;
    int readings_left;
  };

  FakeDevice(std::unique_ptr<Device> cpu, uint64_t total_bytes, const std::string& id)
      : cpu_(std::move(cpu)),
        info_({.id = id, .description = "fake device"}),
        total_bytes_(total_bytes) {}

  // Total less what this device and others hold.
  uint64_t TrueFreeBytes() const FORGE_REQUIRES(mutex_);

  // Constant after construction.
  const std::unique_ptr<Device> cpu_;
  const DeviceInfo info_;

  std::atomic<uint64_t> allocate_calls_ = 0;
  mutable std::atomic<uint64_t> reading_calls_ = 0;
  std::atomic<uint64_t> context_releases_ = 0;

  mutable Mutex mutex_;
  uint64_t total_bytes_ FORGE_GUARDED_BY(mutex_);
  uint64_t held_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
  uint64_t foreign_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
  int free_lag_readings_ FORGE_GUARDED_BY(mutex_) = 0;
  mutable std::deque<LateFree> late_frees_ FORGE_GUARDED_BY(mutex_);
  int calls_to_failure_ FORGE_GUARDED_BY(mutex_) = 0;  // 0: no failure ahead
  bool fails_for_ever_ FORGE_GUARDED_BY(mutex_) = false;
  bool fail_all_ FORGE_GUARDED_BY(mutex_) = false;
  bool fail_readings_ FORGE_GUARDED_BY(mutex_) = false;
};

}  // namespace forge::testing
