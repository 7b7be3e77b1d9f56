#include "kernels/hip/device_health.h"

namespace forge {

Status DeviceHealth::Check() const {
  if (!lost_) return Status();
  const MutexLock lock(mutex_);
  return status_;
}

Status DeviceHealth::MarkLost(std::string_view cause) {
  const MutexLock lock(mutex_);
  if (status_.ok())
    status_ = Unavailable("device " + device_ + " is lost: " + std::string(cause) +
                          "; its models cannot run until forged is restarted, and the kernel's log "
                          "(journalctl -k) has the driver's side")
                  .WithReason("DEVICE_LOST")
                  .WithDetail("device", device_);
  lost_ = true;
  return status_;
}

}  // namespace forge
