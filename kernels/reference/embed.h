#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/format.h"

namespace forge {

// y[t] = row tokens[t] of the table, exactly as its format defines the values; the table as the
// file has it.
// REQUIRES: `dtype` is a known format, dim a multiple of its block, and every token a row.
void ReferenceEmbed(DType dtype, const std::byte* file_rows, int64_t dim,
                    const int32_t* tokens,  // [n_tokens]
                    int n_tokens,
                    float* y);  // [n_tokens, dim]

}  // namespace forge
