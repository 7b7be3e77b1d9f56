#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "gateway/http/socket.h"
#include "kernels/base/descriptor.h"

namespace forge::gateway {

// Notices that a peer goes while somebody works for it, and calls `on_gone` once, on a thread of
// its own. A peer that only stops sending has gone, too: clients of this API do not do that while
// they wait. Bytes that come meanwhile are left alone.
class PeerWatch {
 public:
  PeerWatch(const Socket& socket, std::function<void()> on_gone);
  ~PeerWatch();
  PeerWatch(const PeerWatch&) = delete;
  PeerWatch& operator=(const PeerWatch&) = delete;

  bool is_gone() const { return is_gone_; }

 private:
  void Watch(int socket);

  const std::function<void()> on_gone_;
  const Descriptor end_;  // an eventfd
  std::atomic<bool> is_gone_ = false;
  std::thread thread_;
};

}  // namespace forge::gateway
