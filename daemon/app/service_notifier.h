#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace forge {

// Tells systemd how the service does, through $NOTIFY_SOCKET. Without systemd it does nothing.
// Thread-safe.
class ServiceNotifier {
 public:
  void Ready() const;
  void Status(std::string_view text) const;  // shown by `systemctl status`
  void Stopping() const;
  void FeedWatchdog() const;
  // How often FeedWatchdog must be called at least; nullopt if systemd does not watch.
  std::optional<std::chrono::microseconds> watchdog_interval() const;
};

}  // namespace forge
