#pragma once

#include "kernels/hip/matvec.h"

namespace forge {

// Products of matrices with many vectors, on the matrix units (gpu_matrix.h): a block of threads
// takes 64 rows of a matrix and 64 tokens. Codes of quantised formats are multiplied as bytes,
// exactly as LaunchMatvec does, and scales come in part by part; F16 and Bf16 weights are
// multiplied with pieces of the activations, float_batch_matmul_kernel.h. A token's result has the
// same bits whatever shares its tile, but not those of LaunchMatvec, which adds the parts in
// another order.

constexpr int kBatchTileTokens = 64;

// From here on the matrix units are used.
constexpr int kMinBatchTokens = 33;
// With experts, from so many pairs for each on average: LaunchMatvec would read the weights twice.
// A prompt's default chunk of 128 tokens has 16 where a token uses 4 of 32 experts.
constexpr int kMinBatchPairs = 16;

// REQUIRES: n_tokens and n_targets are positive, the format is not F32; `tiles`, if there are
// any, have up to kBatchTileTokens pairs.
template <typename Format>
Status LaunchBatchMatmul(MatvecArgs args, HipStream& stream);

}  // namespace forge
