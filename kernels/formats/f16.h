#pragma once

#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// F16: IEEE 754 binary16, one element a block.
struct F16Format {
  static constexpr DType kDType{1};
  static constexpr std::string_view kName = "F16";
  static constexpr int kBlockElements = 1;
  struct Block {
    F16 value;
  };

  static void Dequantize(const Block& block, float* y) { *y = ToFloat(block.value); }
};
static_assert(sizeof(F16Format::Block) == 2);

}  // namespace forge
