#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/format.h"

namespace forge {

// y[t, r] = sum_k x[t, k] * W[r, k] + bias[r] + residual[t, r], in double precision, with W as the
// file has it.
// REQUIRES: `dtype` is a known format and n_cols a multiple of its block.
void ReferenceMatmul(DType dtype, const std::byte* file_rows, int64_t n_rows, int64_t n_cols,
                     const float* x,         // [n_tokens, n_cols]
                     int n_tokens,           //
                     const float* bias,      // [n_rows], or null
                     const float* residual,  // [n_tokens, n_rows], or null
                     double* y);             // [n_tokens, n_rows]

}  // namespace forge
