#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/function_ref.h"
#include "kernels/base/mutex.h"
#include "kernels/base/status.h"
#include "kernels/hip/device_health.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// What launchers may know of the device that a stream belongs to.
struct HipTraits {
  int wave_size = 0;              // 32 or 64
  int n_units = 0;                // compute units, to size grids by
  int shared_bytes = 0;           // shared memory of a block, at most
  bool has_matrix_units = false;  // see gpu_matrix.h
  bool flushes_subnormals = false;
  int max_grid_y = 65535;  // blocks along y and z; x takes 2^31 - 1

  // Whether matrix units multiply these formats and leave every number what it is.
  bool MultipliesF16() const { return has_matrix_units && !flushes_subnormals; }
  bool MultipliesBf16() const { return has_matrix_units; }
};

// What a HIP device and its streams share. Lifetime: outlives the streams. Thread-safe.
class HipContext {
 public:
  HipContext(int index, std::string id, const HipTraits& traits,
             std::chrono::milliseconds hang_limit, bool uses_graphs)
      : index_(index),
        traits_(traits),
        hang_limit_(hang_limit),
        uses_graphs_(uses_graphs),
        health_(std::move(id)) {}

  const HipTraits& traits() const { return traits_; }
  std::chrono::milliseconds hang_limit() const { return hang_limit_; }
  bool uses_graphs() const { return uses_graphs_; }
  DeviceHealth& health() { return health_; }
  const DeviceHealth& health() const { return health_; }

  // Makes the calling thread work on this device. kUnavailable if the device is lost.
  Status Select();
  // Says what went wrong in `what`, and marks the device lost where the error means that.
  Status Check(hipError_t error, std::string_view what);

  // Waits until `done` answers hipSuccess. kUnavailable, and the device is lost, if it fails or if
  // nothing has moved for `limit`; `moved` says whether something has since it was last asked, and
  // is asked again and again.
  Status Await(FunctionRef<hipError_t()> done, FunctionRef<bool()> moved,
               std::chrono::milliseconds limit, std::string_view what);

  void AddStream(hipStream_t stream);
  void RemoveStream(hipStream_t stream);
  // Waits for the work that all streams have now, so that a call of the runtime that waits for the
  // whole device cannot wait for ever.
  Status Drain();

 private:
  // Constant after construction.
  const int index_;
  const HipTraits traits_;
  const std::chrono::milliseconds hang_limit_;
  const bool uses_graphs_;

  DeviceHealth health_;
  std::atomic<uint64_t> n_moves_ = 0;  // times that somebody who waits saw work move
  Mutex mutex_;
  std::vector<hipStream_t> streams_ FORGE_GUARDED_BY(mutex_);
};

}  // namespace forge
