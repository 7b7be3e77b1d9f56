#pragma once

#include <cstdint>

#include "kernels/base/status.h"
#include "kernels/formats/format.h"

namespace forge {

// The matrix W of y = W x as the file has it: n_rows outputs, n_cols inputs, rows contiguous.
struct WeightShape {
  DType dtype;
  int64_t n_rows;
  int64_t n_cols;  // a multiple of the format's block_elements
};
// kUnimplemented (reason ARCHITECTURE_UNSUPPORTED) for an unknown format, kInvalidArgument for
// sizes that are not positive or a row that is not a whole number of blocks.
Status Validate(const WeightShape& shape);

// A weight matrix in a device's own layout (see Device::PackedWeightBytes). Does not own.
struct WeightView {
  const void* data = nullptr;  // device memory, 64-byte aligned
  WeightShape shape = {};
};
Status Validate(const WeightView& weight);

// Scratch memory of an op on the device. Does not own. 64-byte aligned.
struct Workspace {
  void* data = nullptr;
  uint64_t bytes = 0;
};

}  // namespace forge
