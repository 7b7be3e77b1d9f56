#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "kernels/api/device.h"
#include "kernels/base/mutex.h"

namespace forge::testing {

// A device that is nothing but memory: a budget that tests choose and others use, and real
// allocations within it. It cannot compute. Thread-safe.
class MemoryOnlyDevice : public Device {
 public:
  explicit MemoryOnlyDevice(uint64_t total_bytes) : total_bytes_(total_bytes) {}

  // Memory that other programs hold.
  void SetForeignBytes(uint64_t bytes) {
    MutexLock lock(mutex_);
    foreign_bytes_ = bytes;
  }
  // The n-th Allocate from now on fails (1: the next), as on a device that lies about its free
  // memory; with `for_ever`, all later ones too.
  void FailAllocation(uint64_t n, bool for_ever) {
    MutexLock lock(mutex_);
    failing_call_ = allocate_calls_ + n;
    fails_for_ever_ = for_ever;
  }
  void FailReadings() {
    MutexLock lock(mutex_);
    fails_readings_ = true;
  }
  uint64_t peak_bytes() const {
    MutexLock lock(mutex_);
    return peak_bytes_;
  }
  uint64_t allocate_calls() const {
    MutexLock lock(mutex_);
    return allocate_calls_;
  }

  const DeviceInfo& info() const override { return info_; }
  const OpTable& ops() const override { std::abort(); }
  Result<std::unique_ptr<Stream>> CreateStream() override { return Unimplemented("no streams"); }
  Result<MemoryReading> ReadMemory() const override {
    MutexLock lock(mutex_);
    if (fails_readings_) return Unavailable("the device does not answer");
    const uint64_t used = foreign_bytes_ + count_.bytes;
    const uint64_t free = used > total_bytes_ ? 0 : total_bytes_ - used;
    return MemoryReading{total_bytes_, free, free, free};
  }
  Result<void*> Allocate(uint64_t bytes) override {
    MutexLock lock(mutex_);
    ++allocate_calls_;
    if (allocate_calls_ == failing_call_ || (fails_for_ever_ && allocate_calls_ > failing_call_) ||
        foreign_bytes_ + count_.bytes + bytes > total_bytes_)
      return ResourceExhausted("out of memory");
    ++count_.allocations;
    count_.bytes += bytes;
    peak_bytes_ = std::max(peak_bytes_, count_.bytes);
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  }
  void Free(void* data, uint64_t bytes) override {
    MutexLock lock(mutex_);
    --count_.allocations;
    count_.bytes -= bytes;
    std::free(data);
  }
  AllocationCount allocation_count() const override {
    MutexLock lock(mutex_);
    return count_;
  }
  Status CopyIn(void*, const void*, uint64_t, Stream&) override { return Unimplemented("no copy"); }
  Status CopyOut(void*, const void*, uint64_t, Stream&) override {
    return Unimplemented("no copy");
  }
  Result<uint64_t> PackedWeightBytes(const WeightShape&) const override {
    return Unimplemented("no weights");
  }
  int64_t pack_row_multiple() const override { return 1; }
  Status PackRows(const WeightShape&, int64_t, int64_t, const std::byte*, void*, Stream&) override {
    return Unimplemented("no weights");
  }
  uint64_t MatmulWorkspaceBytes(int, int64_t) const override { return 0; }
  uint64_t AttentionWorkspaceBytes(int, int, int) const override { return 0; }
  uint64_t ExpertMatmulWorkspaceBytes(int, int64_t, int) const override { return 0; }

 private:
  // Constant after construction.
  const DeviceInfo info_ = {"memory", "memory without a processor"};
  const uint64_t total_bytes_;

  mutable Mutex mutex_;
  uint64_t foreign_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
  uint64_t failing_call_ FORGE_GUARDED_BY(mutex_) = 0;
  bool fails_for_ever_ FORGE_GUARDED_BY(mutex_) = false;
  bool fails_readings_ FORGE_GUARDED_BY(mutex_) = false;
  AllocationCount count_ FORGE_GUARDED_BY(mutex_);
  uint64_t peak_bytes_ FORGE_GUARDED_BY(mutex_) = 0;
  uint64_t allocate_calls_ FORGE_GUARDED_BY(mutex_) = 0;
};

}  // namespace forge::testing
