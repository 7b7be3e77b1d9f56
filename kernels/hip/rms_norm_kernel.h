#pragma once

#include "kernels/hip/block_reduce.h"

namespace forge {

// Threads of the kernels that normalise whole rows: one number, so that a row has the same bits in
// all of them.
constexpr int kNormThreads = 256;

// 1 / sqrt(mean(x^2) + epsilon) of a row, in every thread of the block. `partial`: see BlockSum.
template <int kWave, int kThreads>
FORGE_DEVICE float InverseRms(const float* x, int dim, float epsilon, float* partial) {
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < dim; i += kThreads)
    squares = fmaf(x[i], x[i], squares);
  squares = BlockSum<kWave, kThreads>(squares, partial);
  return 1.0f / sqrtf(squares / static_cast<float>(dim) + epsilon);
}

}  // namespace forge
