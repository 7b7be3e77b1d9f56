#include "tests/support/fake_device.h"

#include <algorithm>
#include <string>

#include "kernels/cpu/cpu_device.h"

namespace forge::testing {

Result<std::unique_ptr<FakeDevice>> FakeDevice::Create(uint64_t total_bytes, int n_threads,
                                                       const std::string& id) {
  FORGE_ASSIGN_OR_RETURN(std::unique_ptr<Device> cpu, CreateCpuDevice({.n_threads = n_threads}));
  return std::unique_ptr<FakeDevice>(new FakeDevice(std::move(cpu), total_bytes, id));
}

void FakeDevice::set_total_bytes(uint64_t bytes) {
  const MutexLock lock(mutex_);
  total_bytes_ = bytes;
}

void FakeDevice::set_foreign_bytes(uint64_t bytes) {
  const MutexLock lock(mutex_);
  foreign_bytes_ = bytes;
}

void FakeDevice::set_free_lag_readings(int readings) {
  const MutexLock lock(mutex_);
  free_lag_readings_ = readings;
}

void FakeDevice::FailAllocation(int k, bool for_ever) {
  const MutexLock lock(mutex_);
  calls_to_failure_ = k;
  fails_for_ever_ = for_ever;
  if (k == 0) fail_all_ = false;
}

void FakeDevice::FailAllAllocations(bool fail) {
  const MutexLock lock(mutex_);
  fail_all_ = fail;
}

void FakeDevice::FailReadings(bool fail) {
  const MutexLock lock(mutex_);
  fail_readings_ = fail;
}

uint64_t FakeDevice::TrueFreeBytes() const {
  const uint64_t used = held_bytes_ + foreign_bytes_;
  return total_bytes_ - std::min(total_bytes_, used);
}

Result<MemoryReading> FakeDevice::ReadMemory() const {
  reading_calls_.fetch_add(1);
  const MutexLock lock(mutex_);
  if (fail_readings_) return Unavailable("fake device: the reading was set to fail");
  uint64_t late = 0;
  for (LateFree& freed : late_frees_) {
    if (freed.readings_left-- > 0) late += freed.bytes;
  }
  while (!late_frees_.empty() && late_frees_.front().readings_left < 0) late_frees_.pop_front();
  const uint64_t free = TrueFreeBytes();
  const uint64_t shown = free - std::min(free, late);
  return MemoryReading{.total_bytes = total_bytes_,
                       .free_bytes = shown,
                       .runtime_free_bytes = shown,
                       .driver_free_bytes = shown};
}

Result<void*> FakeDevice::Allocate(uint64_t bytes) {
  allocate_calls_.fetch_add(1);
  const MutexLock lock(mutex_);
  const bool fails_now = calls_to_failure_ > 0 && --calls_to_failure_ == 0;
  if (fails_now && fails_for_ever_) fail_all_ = true;
  if (fail_all_ || fails_now)
    return ResourceExhausted("fake device: the allocation was set to fail: requested " +
                             std::to_string(bytes) + " bytes");
  if (bytes > TrueFreeBytes())
    return ResourceExhausted("fake device: not enough free memory: requested " +
                             std::to_string(bytes) + " bytes, free " +
                             std::to_string(TrueFreeBytes()));
  FORGE_ASSIGN_OR_RETURN(void* data, cpu_->Allocate(bytes));
  held_bytes_ += bytes;
  return data;
}

void FakeDevice::Free(void* data, uint64_t bytes) {
  if (data == nullptr) return;
  cpu_->Free(data, bytes);
  const MutexLock lock(mutex_);
  held_bytes_ -= bytes;
  if (free_lag_readings_ > 0)
    late_frees_.push_back({.bytes = bytes, .readings_left = free_lag_readings_});
}

}  // namespace forge::testing
