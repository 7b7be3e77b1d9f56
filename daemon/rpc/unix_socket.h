#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "kernels/base/result.h"

namespace forge {

// Owns the file of a listening Unix socket: creates it, and removes it when destroyed.
//
// Owns: a lock file beside it (PATH.lock) that keeps a second daemon off the same path, also while
// the first one is only about to listen. Move-only.
class UnixSocket {
 public:
  // Binds and listens at `path` with permissions `mode`; nobody can connect before they are set.
  // A socket file that nobody answers on is replaced. kFailedPrecondition if somebody does, or if
  // `path` is something else than a socket; kUnavailable with the system's error otherwise. `flag`
  // chooses another path, for messages.
  static Result<UnixSocket> Listen(const std::string& path, mode_t mode,
                                   std::string_view flag = "--listen");

  UnixSocket(UnixSocket&& other) noexcept;
  UnixSocket& operator=(UnixSocket&&) = delete;
  ~UnixSocket();

  // The listening descriptor, non-blocking; the caller takes it over. REQUIRES: first call.
  int ReleaseDescriptor();

 private:
  UnixSocket(std::string path, int lock_descriptor)
      : path_(std::move(path)), lock_descriptor_(lock_descriptor) {}
  Status Bind(mode_t mode);

  std::string path_;
  int lock_descriptor_ = -1;
  int descriptor_ = -1;
  bool bound_ = false;
  ino_t inode_ = 0;  // of the socket file: another one at the same path is not ours to remove
};

}  // namespace forge
