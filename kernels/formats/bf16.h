#pragma once

#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// BF16: the upper half of a binary32, one element a block.
struct Bf16Format {
  static constexpr DType kDType{30};
  static constexpr std::string_view kName = "BF16";
  static constexpr int kBlockElements = 1;
  struct Block {
    Bf16 value;
  };

  static void Dequantize(const Block& block, float* y) { *y = ToFloat(block.value); }
};
static_assert(sizeof(Bf16Format::Block) == 2);

}  // namespace forge
