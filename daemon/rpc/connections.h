#pragma once

#include <sys/types.h>

#include <map>

#include "kernels/base/mutex.h"

namespace forge {

// Remembers the connections that gRPC was given, so that they can be cut.
//
// gRPC waits for a client that does not read to take what was written to it, also when the server
// is shutting down; only the end of the socket ends that. Owns no descriptor: gRPC closes them, and
// a closed one is told from its successor of the same number by the socket's inode. Thread-safe.
class Connections {
 public:
  // To be called before gRPC gets `descriptor`, a socket.
  void Add(int descriptor);
  // Shuts down those that are still open, for both directions. gRPC notices, ends their calls as
  // cancelled and closes them.
  void CutAll();

 private:
  Mutex mutex_;
  std::map<int, ino_t> inodes_ FORGE_GUARDED_BY(mutex_);  // by descriptor
};

}  // namespace forge
