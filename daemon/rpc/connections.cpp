#include "daemon/rpc/connections.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

namespace forge {
namespace {

// Between two warnings: a client that is refused tries again at once.
constexpr std::chrono::minutes kWarningPeriod{1};

bool IsOpen(int descriptor, ino_t inode) {
  struct stat info = {};
  return ::fstat(descriptor, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_ino == inode;
}

// Who connected. nullopt for a TCP socket.
std::optional<uid_t> UserOf(int descriptor) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      address.ss_family != AF_UNIX)
    return std::nullopt;
  ucred peer = {};
  length = sizeof(peer);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer.uid;
}

}  // namespace

bool Connections::Admit(int descriptor) {
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) return false;
  const std::optional<uid_t> user = UserOf(descriptor);
  const MutexLock lock(mutex_);
  ForgetClosed();
  const auto n_of_user = static_cast<size_t>(
      user ? std::ranges::count_if(connections_,
                                   [&](const auto& entry) { return entry.second.user == user; })
           : 0);
  if (connections_.size() >= limits_.n_overall || n_of_user >= limits_.n_of_user) {
    WarnSometimes(user, n_of_user);
    return false;
  }
  connections_[descriptor] = {info.st_ino, user};
  return true;
}

void Connections::ForgetClosed() {
  std::erase_if(connections_,
                [](const auto& entry) { return !IsOpen(entry.first, entry.second.inode); });
}

void Connections::WarnSometimes(const std::optional<uid_t>& user, size_t n_of_user) {
  ++n_refused_;
  const auto now = std::chrono::steady_clock::now();
  if (last_warning_ && now - *last_warning_ < kWarningPeriod) return;
  last_warning_ = now;
  if (n_of_user >= limits_.n_of_user) {
    log_.warn("user {} has {} connections, which is the limit; {} refused since the last warning",
              *user, n_of_user, n_refused_);
  } else {
    log_.warn("there are {} connections, which is the limit; {} refused since the last warning",
              connections_.size(), n_refused_);
  }
  n_refused_ = 0;
}

void Connections::CutAll() {
  const MutexLock lock(mutex_);
  for (const auto& [descriptor, connection] : connections_) {
    if (IsOpen(descriptor, connection.inode)) ::shutdown(descriptor, SHUT_RDWR);
  }
  connections_.clear();
}

}  // namespace forge
