#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "kernels/base/checked_math.h"
#include "kernels/base/status.h"

namespace forge {

// One buffer in an arena.
struct ScratchSlot {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// Lays buffers out one after the other, each at a multiple of 64, and remembers whether a size
// passed 2^63. Not thread-safe.
class ArenaLayout {
 public:
  static constexpr uint64_t kAlignment = 64;
  static constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();

  ScratchSlot Add(const CheckedSum& bytes);
  ScratchSlot Add(uint64_t bytes) { return Add(CheckedSum().Add(bytes)); }
  // n_rows rows of n_cols elements of 4 bytes.
  ScratchSlot AddWords(uint64_t n_rows, uint64_t n_cols = 1) {
    return Add(CheckedSum().AddProduct(n_rows, n_cols, 4));
  }
  // nullopt if it does not fit.
  std::optional<uint64_t> total() const { return total_; }

 private:
  std::optional<uint64_t> total_ = 0;
};

// kInvalidArgument (reason INVALID_REQUEST): `what` would pass 2^63 bytes.
Status TooLargeToPlan(std::string_view what);

}  // namespace forge
