#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q4_0: 32 weights share one scale; value = scale * (code - 8).
// Byte i of `quants` holds element i in its low and element i + 16 in its high nibble.
struct Q4_0 {
  static constexpr DType kDType{2};
  static constexpr std::string_view kName = "Q4_0";
  static constexpr int kBlockElements = 32;
  static constexpr int kZero = 8;
  struct Block {
    F16 scale;
    uint8_t quants[16];
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int i = 0; i < 16; ++i) {
      codes[i] = block.quants[i] & 15;
      codes[i + 16] = block.quants[i] >> 4;
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[32];
    Unpack(block, codes);
    const float scale = ToFloat(block.scale);
    for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(codes[i] - kZero) * scale;
  }
};
static_assert(sizeof(Q4_0::Block) == 18);

}  // namespace forge
