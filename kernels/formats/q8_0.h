#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q8_0: 32 weights share one scale; value = scale * quant.
struct Q8_0 {
  static constexpr DType kDType{8};
  static constexpr std::string_view kName = "Q8_0";
  static constexpr int kBlockElements = 32;
  static constexpr int kZero = 128;
  struct Block {
    F16 scale;
    int8_t quants[32];
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(block.quants[i] + kZero);
  }

  static void Dequantize(const Block& block, float* y) {
    const float scale = ToFloat(block.scale);
    for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(block.quants[i]) * scale;
  }
};
static_assert(sizeof(Q8_0::Block) == 34);

}  // namespace forge
