#pragma once

#include <spdlog/logger.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>

#include "kernels/base/mutex.h"

namespace forge {

// Bounds the connections that gRPC is given, and remembers them, so that they can be cut.
//
// gRPC waits for a client that does not read to take what was written to it, also when the server
// is shutting down; only the end of the socket ends that. Owns no descriptor: gRPC closes them, and
// a closed one is told from its successor of the same number by the socket's inode. Thread-safe.
class Connections {
 public:
  // At the same time. Every connection takes a descriptor, and who takes all locks everybody out.
  struct Limits {
    size_t n_of_user = 64;  // on a Unix socket, which knows its user
    size_t n_overall = 256;
  };

  explicit Connections(spdlog::logger& log) : Connections(log, Limits()) {}
  Connections(spdlog::logger& log, Limits limits) : log_(log), limits_(limits) {}

  // To be called before gRPC gets `descriptor`, a socket. False, with a warning in the log, if
  // there are too many already: then the caller must close it.
  bool Admit(int descriptor);
  // Shuts down those that are still open, for both directions. gRPC notices, ends their calls as
  // cancelled and closes them.
  void CutAll();

 private:
  struct Connection {
    ino_t inode;
    std::optional<uid_t> user;  // known of a Unix socket
  };

  void ForgetClosed() FORGE_REQUIRES(mutex_);
  void WarnSometimes(const std::optional<uid_t>& user, size_t n_of_user) FORGE_REQUIRES(mutex_);

  // Constant after construction.
  spdlog::logger& log_;
  const Limits limits_;

  Mutex mutex_;
  std::map<int, Connection> connections_ FORGE_GUARDED_BY(mutex_);  // by descriptor
  size_t n_refused_ FORGE_GUARDED_BY(mutex_) = 0;                   // since the last warning
  std::optional<std::chrono::steady_clock::time_point> last_warning_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
