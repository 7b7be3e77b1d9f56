#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/api/weight.h"
#include "kernels/base/result.h"

namespace forge {

// The HIP device's weight layout (see weight_layout.h): rows follow each other as in the file, each
// in HipPackedRowBytes, so that any range of rows is one range of bytes. Packing runs on the host.

// Rows are packed one by one.
constexpr int64_t kHipPackRows = 1;

// Bytes of one packed row, a multiple of 16. Fails as HipPackedWeightBytes does.
Result<uint64_t> HipPackedRowBytes(const WeightShape& shape);

// Bytes of a packed matrix, a multiple of 64. kUnimplemented with reason ARCHITECTURE_UNSUPPORTED
// for a format without kernels, kInvalidArgument unless both sides are positive, n_cols is a
// multiple of the format's block and the size fits 64 bits.
Result<uint64_t> HipPackedWeightBytes(const WeightShape& shape);

// Packs n_rows of the file's rows at `file_rows` into n_rows * HipPackedRowBytes bytes of host
// memory at `packed_rows`, 16-byte aligned; in the matrix on the device, row r's place is
// r * HipPackedRowBytes. Fails as HipPackedWeightBytes does. Thread-safe.
Status HipPackRows(const WeightShape& shape, int64_t n_rows, const std::byte* file_rows,
                   std::byte* packed_rows);

}  // namespace forge
