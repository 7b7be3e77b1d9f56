#pragma once

#include "kernels/hip/gpu_runtime.h"

namespace forge {

// Sums and maxima over the lanes of a wave. The order of additions depends on kWidth alone.

template <int kWidth>
FORGE_DEVICE float WaveSum(float value) {
  FORGE_UNROLL
  for (int mask = 1; mask < kWidth; mask *= 2) value += ShuffleXor<kWidth>(value, mask);
  return value;
}

template <int kWidth>
FORGE_DEVICE int WaveSum(int value) {
  FORGE_UNROLL
  for (int mask = 1; mask < kWidth; mask *= 2) value += ShuffleXor<kWidth>(value, mask);
  return value;
}

template <int kWidth>
FORGE_DEVICE float WaveMax(float value) {
  FORGE_UNROLL
  for (int mask = 1; mask < kWidth; mask *= 2)
    value = fmaxf(value, ShuffleXor<kWidth>(value, mask));
  return value;
}

// Which of kCount sums ScatterSums leaves in a lane.
template <int kCount>
FORGE_DEVICE int ScatteredIndex(int lane) {
  int index = 0;
  FORGE_UNROLL
  for (int mask = 1; mask < kCount; mask *= 2) index = 2 * index + ((lane & mask) != 0 ? 1 : 0);
  return index;
}

// The sums over the wave of kCount values at once, of which each lane gets number
// ScatteredIndex(lane): kCount - 1 shuffles and a few instead of a whole sum's for each. The bits
// are those of WaveSum. REQUIRES: kCount is a power of two, at most kWave.
template <int kWave, int kCount>
FORGE_DEVICE float ScatterSums(float (&values)[kCount], int lane) {
  static_assert((kCount & (kCount - 1)) == 0 && kCount <= kWave);
  FORGE_UNROLL
  for (int mask = 1; mask < kCount; mask *= 2) {
    const int half = kCount / (2 * mask);
    const bool keeps_upper = (lane & mask) != 0;
    FORGE_UNROLL
    for (int i = 0; i < half; ++i) {
      // Both are read first: a choice of addresses would put the array into memory.
      const float lower = values[i], upper = values[i + half];
      const float given = keeps_upper ? lower : upper;
      values[i] = (keeps_upper ? upper : lower) + ShuffleXor<kWave>(given, mask);
    }
  }
  float sum = values[0];
  FORGE_UNROLL
  for (int mask = kCount; mask < kWave; mask *= 2) sum += ShuffleXor<kWave>(sum, mask);
  return sum;
}

}  // namespace forge
