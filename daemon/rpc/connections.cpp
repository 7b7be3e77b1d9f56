#include "daemon/rpc/connections.h"

#include <sys/socket.h>
#include <sys/stat.h>

namespace forge {

void Connections::Add(int descriptor) {
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) return;
  const MutexLock lock(mutex_);
  inodes_[descriptor] = info.st_ino;  // the number's former socket is closed, or it were not free
}

void Connections::CutAll() {
  const MutexLock lock(mutex_);
  for (const auto& [descriptor, inode] : inodes_) {
    struct stat info = {};
    if (::fstat(descriptor, &info) == 0 && S_ISSOCK(info.st_mode) && info.st_ino == inode) {
      ::shutdown(descriptor, SHUT_RDWR);
    }
  }
  inodes_.clear();
}

}  // namespace forge
