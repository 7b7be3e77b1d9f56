#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/hip/launch.h"

namespace forge {

// Loops over n elements with as many threads as are worth having: a kernel starts at
// FirstElement() and goes on by ElementStride().

constexpr int kElementThreads = 256;

FORGE_DEVICE int64_t FirstElement() {
  return static_cast<int64_t>(blockIdx.x) * kElementThreads + threadIdx.x;
}
FORGE_DEVICE int64_t ElementStride() { return static_cast<int64_t>(gridDim.x) * kElementThreads; }

// REQUIRES: n > 0.
inline LaunchShape ElementShape(int64_t n, const HipStream& stream) {
  constexpr int64_t kBlocksOfUnit = 16;
  const int64_t most = std::max<int64_t>(1, stream.traits().n_units * kBlocksOfUnit);
  const int64_t n_blocks = std::min(most, (n + kElementThreads - 1) / kElementThreads);
  return {.grid = static_cast<unsigned>(n_blocks), .block = kElementThreads};
}

}  // namespace forge
