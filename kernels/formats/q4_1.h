#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q4_1: 32 weights share a scale and an offset; value = scale * code + offset.
// Byte i of `quants` holds element i in its low and element i + 16 in its high nibble.
struct Q4_1 {
  static constexpr DType kDType{3};
  static constexpr std::string_view kName = "Q4_1";
  static constexpr int kBlockElements = 32;
  struct Block {
    F16 scale;
    F16 offset;
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
    const float offset = ToFloat(block.offset);
    for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(codes[i]) * scale + offset;
  }
};
static_assert(sizeof(Q4_1::Block) == 20);

}  // namespace forge
