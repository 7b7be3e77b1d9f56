#pragma once

#include "kernels/hip/hip_stream.h"

namespace forge {

constexpr int kMatrixProbeThreads = 256;  // of a block

// Multiplications and additions of one launch below.
double MatrixProbeOperations(int n_blocks, int n_rounds, int wave_size);

// Keeps the matrix units busy with bfloat16 products of operands in registers. `out`: a float for
// each thread. REQUIRES: the stream's device multiplies Bf16 (HipTraits).
Status LaunchMatrixProbe(int n_blocks, int n_rounds, float* out, HipStream& stream);

}  // namespace forge
