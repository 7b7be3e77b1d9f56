#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q5_1: 32 weights share a scale and an offset; value = scale * code + offset.
// Codes lie as in Q5_0.
struct Q5_1 {
  static constexpr DType kDType{7};
  static constexpr std::string_view kName = "Q5_1";
  static constexpr int kBlockElements = 32;
  struct Block {
    F16 scale;
    F16 offset;
    uint8_t high_bits[4];
    uint8_t quants[16];
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int i = 0; i < 32; ++i) {
      const int low = (block.quants[i % 16] >> (i / 16 * 4)) & 15;
      const int high = (block.high_bits[i / 8] >> (i % 8)) & 1;
      codes[i] = static_cast<uint8_t>(low | high << 4);
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
static_assert(sizeof(Q5_1::Block) == 24);

}  // namespace forge
