#pragma once

#include <cstdint>

#include "kernels/formats/format.h"

namespace forge {

// The matrix W of y = W x as the file has it: n_rows outputs, n_cols inputs, rows contiguous.
struct WeightShape {
  DType dtype;
  int64_t n_rows;
  int64_t n_cols;  // a multiple of the format's block_elements
};

// A weight matrix in a device's own layout (see Device::PackedWeightBytes). Does not own.
struct WeightView {
  const void* data = nullptr;  // device memory, 64-byte aligned
  WeightShape shape = {};
};

// Scratch memory of an op on the device. Does not own. 64-byte aligned.
struct Workspace {
  void* data = nullptr;
  uint64_t bytes = 0;
};

}  // namespace forge
