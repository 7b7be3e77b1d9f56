#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/formats/format.h"

namespace forge {

// The storage of one tensor type of the file format: a row of n elements takes
// n / block_elements * block_bytes.
struct TensorType {
  DType dtype;
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
};

// Describes every tensor type that GGUF defines, also those the engine cannot compute with, so that
// a file's layout is checked whatever it holds. nullptr for ids that were never used, were removed
// from the format or are newer than this table.
const TensorType* FindTensorType(DType dtype);

// "Q4_K"; "unknown" for an id without a type.
std::string_view TensorTypeName(DType dtype);

}  // namespace forge
