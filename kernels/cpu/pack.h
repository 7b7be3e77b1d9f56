#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/weight.h"
#include "kernels/base/result.h"

namespace forge {

// The CPU device's weight layout (see pack_layout.h): groups of 16 rows, interleaved.
constexpr int64_t kCpuPackRows = 16;

// Bytes of a packed matrix, a multiple of 64; those of the file plus the rows that fill the last
// group. kUnimplemented with reason ARCHITECTURE_UNSUPPORTED for a format without kernels,
// kInvalidArgument unless both sides are positive, n_cols is a multiple of the format's block and
// the size fits 64 bits.
Result<uint64_t> CpuPackedWeightBytes(const WeightShape& shape);

// Packs rows [first_row, first_row + n_rows) from the file's bytes `file_rows` into the matrix at
// `packed`; rows that fill the last group are zero. Fails as CpuPackedWeightBytes does, and with
// kInvalidArgument unless first_row and n_rows keep to whole groups (or end with the matrix).
// Thread-safe for different rows of one matrix.
Status CpuPackRows(const WeightShape& shape, int64_t first_row, int64_t n_rows,
                   const std::byte* file_rows, void* packed);

}  // namespace forge
