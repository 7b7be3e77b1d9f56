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

  // Ops between the two may be held back until EndGroup, the next copy or Synchronize, so that a
  // device can hand them to its hardware together; a group whose ops are those of an earlier one
  // may cost less. Groups do not nest. EndGroup: errors that an op's launch would have given.
  virtual void BeginGroup() {}
  virtual Status EndGroup() { return Status(); }
};

}  // namespace forge
