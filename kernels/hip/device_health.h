#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "kernels/base/mutex.h"
#include "kernels/base/status.h"

namespace forge {

// Knows whether a device can still be used. What is lost stays lost. Thread-safe.
class DeviceHealth {
 public:
  explicit DeviceHealth(std::string device) : device_(std::move(device)) {}

  // OK, or kUnavailable (reason DEVICE_LOST) saying what happened.
  Status Check() const;
  // Marks the device lost because of `cause`, unless it is already. Returns Check().
  Status MarkLost(std::string_view cause);
  bool lost() const { return lost_.load(); }

 private:
  const std::string device_;
  std::atomic<bool> lost_ = false;
  mutable Mutex mutex_;
  Status status_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
