#include "daemon/app/service_notifier.h"

#include <systemd/sd-daemon.h>

#include <string>

namespace forge {

// Failures are not looked at: there is nobody else to tell.

void ServiceNotifier::Ready() const { sd_notify(0, "READY=1"); }

void ServiceNotifier::Status(std::string_view text) const {
  std::string message = "STATUS=";
  message += text;
  sd_notify(0, message.c_str());
}

void ServiceNotifier::Stopping() const { sd_notify(0, "STOPPING=1"); }

void ServiceNotifier::FeedWatchdog() const { sd_notify(0, "WATCHDOG=1"); }

std::optional<std::chrono::microseconds> ServiceNotifier::watchdog_interval() const {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return std::chrono::microseconds(microseconds);
}

}  // namespace forge
