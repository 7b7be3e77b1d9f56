#pragma once

#include <cstddef>
#include <memory>

#include "kernels/base/function_ref.h"
#include "kernels/base/result.h"
#include "kernels/hip/hip_context.h"

namespace forge {

// Host memory that the GPU reads by itself, in two halves: one is filled while the copies out of
// the other run. Belongs to one stream. Owns the memory. Not thread-safe.
class PinnedRing {
 public:
  // kResourceExhausted if the host has no such memory left.
  static Result<std::unique_ptr<PinnedRing>> Create(HipContext& context, size_t half_bytes);
  // Leaves the memory alone if the device is lost: it may still read it.
  ~PinnedRing();
  PinnedRing(const PinnedRing&) = delete;
  PinnedRing& operator=(const PinnedRing&) = delete;

  size_t half_bytes() const { return half_bytes_; }
  // Memory to fill and then copy from in `stream`, 64-byte aligned. Waits until the copies out of
  // it are done; `moved` and failures as of HipContext::Await. REQUIRES: bytes <= half_bytes().
  Result<std::byte*> Take(size_t bytes, hipStream_t stream, FunctionRef<bool()> moved);
  // Tells that the stream has been synchronised: all of the ring is free.
  void Clear();

 private:
  explicit PinnedRing(HipContext& context, size_t half_bytes)
      : context_(context), half_bytes_(half_bytes) {}

  HipContext& context_;
  const size_t half_bytes_;
  std::byte* data_ = nullptr;
  hipEvent_t left_[2] = {};  // recorded when a half was left
  bool pending_[2] = {};     // and not seen to have passed yet
  int half_ = 0;             // being filled
  size_t used_ = 0;          // of that half
};

}  // namespace forge
