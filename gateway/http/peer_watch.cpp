#include "gateway/http/peer_watch.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace forge::gateway {

PeerWatch::PeerWatch(const Socket& socket, std::function<void()> on_gone)
    : on_gone_(std::move(on_gone)), end_(eventfd(0, EFD_CLOEXEC)) {
  // Without a descriptor the peer's end shows when something is written to it.
  if (end_.is_open()) thread_ = std::thread(&PeerWatch::Watch, this, socket.descriptor());
}

PeerWatch::~PeerWatch() {
  if (!end_.is_open()) return;
  const eventfd_t one = 1;
  eventfd_write(end_.get(), one);
  thread_.join();
}

void PeerWatch::Watch(int socket) {
  pollfd watched[] = {{socket, POLLRDHUP, 0}, {end_.get(), POLLIN, 0}};
  while (poll(watched, 2, -1) < 0 && errno == EINTR) {
  }
  if (watched[1].revents != 0 || watched[0].revents == 0) return;
  is_gone_ = true;
  on_gone_();
}

}  // namespace forge::gateway
