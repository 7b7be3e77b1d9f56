#pragma once

#include "kernels/hip/matvec.h"

namespace forge {

// Products of quantised matrices with many vectors, on the matrix units (gpu_matrix.h): a block of
// threads takes 64 rows of a matrix and 64 tokens. Codes are multiplied as bytes, exactly as
// LaunchMatvec does; scales come in part by part. A token's result has the same bits whatever
// shares its tile, but not those of LaunchMatvec, which adds the parts in another order.

constexpr int kBatchTileTokens = 64;

// From here on the matrix units are used; with experts, from so many pairs for each on average.
constexpr int kMinBatchTokens = 33;

// REQUIRES: n_tokens and n_targets are positive, the format is quantised; `tiles`, if there are
// any, have up to kBatchTileTokens pairs.
template <typename Format>
Status LaunchBatchMatmul(MatvecArgs args, HipStream& stream);

}  // namespace forge
