#include "daemon/rpc/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace forge {
namespace {

Status SystemError(std::string_view doing, const std::string& path) {
  return Unavailable(fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)));
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);  // its length was checked when read
  return address;
}

std::string LockPath(const std::string& path) { return fmt::format("{}.lock", path); }

// Takes the lock beside `path`. A holder that ends removes the file, so a lock won on a file that
// is no longer there does not count.
Result<int> TakeLock(const std::string& path, std::string_view flag) {
  const std::string lock_path = LockPath(path);
  for (;;) {
    const int lock =
        ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (lock < 0 && errno == ENOENT)
      return Unavailable(fmt::format(
          "cannot listen on {}: the directory {} does not exist; create it, or choose another "
          "address with {}",
          path, std::filesystem::path(path).parent_path().string(), flag));
    if (lock < 0) return SystemError("create the lock file", lock_path);
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
      ::close(lock);
      return FailedPrecondition(fmt::format(
          "another forged listens on {}; stop it, or choose another address with {}", path, flag));
    }
    struct stat held = {}, present = {};
    if (::fstat(lock, &held) == 0 && ::stat(lock_path.c_str(), &present) == 0 &&
        held.st_ino == present.st_ino) {
      return lock;
    }
    ::close(lock);
  }
}

// True if somebody accepts connections at `path`.
bool IsAnswered(const std::string& path) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return true;  // unknown, so leave the file alone
  const sockaddr_un address = AddressOf(path);
  const int result = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const bool refused = result != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return !refused;
}

// Removes a socket that a daemon left behind.
Status RemoveStale(const std::string& path, std::string_view flag) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status() : SystemError("look at", path);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return FailedPrecondition(fmt::format(
        "{} exists and is no socket; remove it, or choose another address with {}", path, flag));
  }
  if (IsAnswered(path)) {
    return FailedPrecondition(fmt::format(
        "another program listens on {}; stop it, or choose another address with {}", path, flag));
  }
  return ::unlink(path.c_str()) == 0 ? Status() : SystemError("remove the stale socket", path);
}

}  // namespace

Result<UnixSocket> UnixSocket::Listen(const std::string& path, mode_t mode, std::string_view flag) {
  FORGE_ASSIGN_OR_RETURN(const int lock, TakeLock(path, flag));
  UnixSocket socket(path, lock);
  FORGE_TRY(RemoveStale(path, flag));
  FORGE_TRY(socket.Bind(mode));
  return socket;
}

Status UnixSocket::Bind(mode_t mode) {
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0) return SystemError("create the socket", path_);
  const sockaddr_un address = AddressOf(path_);
  if (::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return SystemError("create the socket", path_);
  }
  bound_ = true;
  struct stat info = {};
  if (::lstat(path_.c_str(), &info) != 0) return SystemError("look at", path_);
  inode_ = info.st_ino;
  // Connections are refused until listen(), so nobody slips in under the umask's permissions.
  if (::chmod(path_.c_str(), mode) != 0) return SystemError("set the permissions of", path_);
  if (::listen(descriptor_, SOMAXCONN) != 0) return SystemError("listen on", path_);
  return Status();
}

UnixSocket::UnixSocket(UnixSocket&& other) noexcept
    : path_(std::move(other.path_)),
      lock_descriptor_(std::exchange(other.lock_descriptor_, -1)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bound_(std::exchange(other.bound_, false)),
      inode_(other.inode_) {}

UnixSocket::~UnixSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
  struct stat info = {};
  if (bound_ && ::lstat(path_.c_str(), &info) == 0 && info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  if (lock_descriptor_ >= 0) {
    ::unlink(LockPath(path_).c_str());
    ::close(lock_descriptor_);
  }
}

int UnixSocket::ReleaseDescriptor() { return std::exchange(descriptor_, -1); }

}  // namespace forge
