#pragma once

#include "kernels/base/status.h"

namespace forge {

// Orders work on a device: ops given to the same stream run one after another.
// Not thread-safe: one thread at a time gives work to a stream.
class Stream {
 public:
  virtual ~Stream() = default;
  // Blocks until everything given to the stream has run; an error of any of it shows here at the
  // latest, and means that the device is lost.
  virtual Status Synchronize() = 0;
};

}  // namespace forge
