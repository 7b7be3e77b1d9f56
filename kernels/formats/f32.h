#pragma once

#include <string_view>

#include "kernels/formats/format.h"

namespace forge {

// F32: IEEE 754 binary32, one element a block.
struct F32Format {
  static constexpr DType kDType{0};
  static constexpr std::string_view kName = "F32";
  static constexpr int kBlockElements = 1;
  struct Block {
    float value;
  };

  static void Dequantize(const Block& block, float* y) { *y = block.value; }
};
static_assert(sizeof(F32Format::Block) == 4);

}  // namespace forge
