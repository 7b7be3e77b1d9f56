#include "gateway/http/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace forge::gateway {

namespace {

bool MayComeLater() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Socket::Socket(Descriptor descriptor) : descriptor_(std::move(descriptor)) {
  const int on = 1;  // a token is sent when it is there, not when a packet is full
  setsockopt(descriptor_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  fcntl(descriptor_.get(), F_SETFL, fcntl(descriptor_.get(), F_GETFL) | O_NONBLOCK);
}

bool Socket::Wait(short events, Clock::time_point deadline) const {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted = {descriptor_.get(), events, 0};
    const int n = poll(&wanted, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

Socket::ReadResult Socket::Read(char* bytes, size_t size, Clock::time_point deadline,
                                size_t& n_read) {
  while (Wait(POLLIN, deadline)) {
    const ssize_t n = recv(descriptor_.get(), bytes, size, 0);
    n_read = n > 0 ? static_cast<size_t>(n) : 0;
    if (n > 0) return ReadResult::kBytes;
    if (n == 0 || !MayComeLater()) return ReadResult::kEnd;
  }
  return ReadResult::kTimeout;
}

bool Socket::Write(std::string_view bytes, std::chrono::milliseconds stall_limit) {
  while (!bytes.empty()) {
    const ssize_t n = send(descriptor_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (!MayComeLater() || !Wait(POLLOUT, Clock::now() + stall_limit)) {
      return false;
    }
  }
  return true;
}

void Socket::Linger(std::chrono::milliseconds limit) {
  Shutdown(SHUT_WR);
  const Clock::time_point deadline = Clock::now() + limit;
  std::array<char, 16384> unread;
  size_t n = 0;
  while (Clock::now() < deadline &&
         Read(unread.data(), unread.size(), deadline, n) == ReadResult::kBytes) {
  }
}

void Socket::Shutdown(int how) { shutdown(descriptor_.get(), how); }

}  // namespace forge::gateway
