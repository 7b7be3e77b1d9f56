#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/memory/ledger.h"
#include "kernels/api/device.h"
#include "kernels/base/result.h"

namespace forge {

// Owns one device allocation that a Reservation pays for, and hands out bounds-checked views.
//
// A model has three: weights, KV cache and scratch. Nothing grows.
// Invariant: size_bytes() > 0 and equals the claim. Thread-compatible.
class Arena {
 public:
  // Allocates claim.bytes(). kInvalidArgument for an empty claim; what the device says if it cannot
  // allocate, and the claim is given back.
  static Result<Arena> Create(Device& device, Reservation claim);

  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  ~Arena();

  uint64_t size_bytes() const { return claim_.bytes(); }
  // Where the bytes [offset, offset + bytes) are on the device. kOutOfRange unless they lie in the
  // arena; kInvalidArgument for 0 bytes or an offset that is no multiple of 64.
  Result<std::byte*> View(uint64_t offset_bytes, uint64_t bytes) const;

 private:
  Arena(Device& device, Reservation claim, std::byte* data)
      : device_(&device), claim_(std::move(claim)), data_(data) {}
  void Free();

  Device* device_;
  Reservation claim_;  // outlives the memory: released after the destructor freed it
  std::byte* data_;    // null after a move
};

}  // namespace forge
