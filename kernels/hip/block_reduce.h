#pragma once

#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {

// The sum over a block of kThreads, in every thread. `partial` is shared memory for
// kThreads / kWave floats. Synchronises the block.
template <int kWave, int kThreads>
FORGE_DEVICE float BlockSum(float value, float* partial) {
  constexpr int kWaves = kThreads / kWave;
  const int thread = static_cast<int>(threadIdx.x);
  value = WaveSum<kWave>(value);
  __syncthreads();  // the last use of `partial` is over
  if (thread % kWave == 0) partial[thread / kWave] = value;
  __syncthreads();
  float sum = partial[0];
  FORGE_UNROLL
  for (int i = 1; i < kWaves; ++i) sum += partial[i];
  return sum;
}

}  // namespace forge
