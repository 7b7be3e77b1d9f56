#pragma once

#include "kernels/api/stream.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// What launchers may know of the device that a stream belongs to.
struct HipTraits {
  int wave_size = 0;       // 32 or 64
  int n_units = 0;         // compute units, to size grids by
  int shared_bytes = 0;    // shared memory of a block, at most
  int max_grid_y = 65535;  // blocks along y and z; x takes 2^31 - 1
};

// A queue of work on one HIP device. Ops give it kernels; whoever creates it owns the handle.
// Not thread-safe.
class HipStream : public Stream {
 public:
  hipStream_t handle() const { return handle_; }
  int wave_size() const { return traits_.wave_size; }
  const HipTraits& traits() const { return traits_; }

 protected:
  HipStream(hipStream_t handle, const HipTraits& traits) : handle_(handle), traits_(traits) {}

  const hipStream_t handle_;
  const HipTraits traits_;
};

// REQUIRES: `stream` was created by a HIP device.
inline HipStream& AsHip(Stream& stream) { return static_cast<HipStream&>(stream); }

}  // namespace forge
