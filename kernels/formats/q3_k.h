#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q3_K: 256 weights in sixteen sub-blocks of 16, each with a 6-bit scale:
//   value = (scale * (scales[s] - 32)) * (code - 4)
// The low two bits of the codes lie as in Q2_K; bit k of high_bits[i] is the third of element
// 32 k + i. The scales' low nibbles are in `scales[0..7]` (scales 0-7 low, 8-15 high), their upper
// two bits at bit 2 k of scales[8 + i] for scale 4 k + i.
struct Q3_K {
  static constexpr DType kDType{11};
  static constexpr std::string_view kName = "Q3_K";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 4;
  static constexpr int kScaleZero = 32;
  struct Block {
    uint8_t high_bits[32];
    uint8_t quants[64];
    uint8_t scales[12];
    F16 scale;
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int k = 0; k < 8; ++k) {
      for (int i = 0; i < 32; ++i) {
        const int low = (block.quants[32 * (k / 4) + i] >> (k % 4 * 2)) & 3;
        const int high = (block.high_bits[i] >> k) & 1;
        codes[32 * k + i] = static_cast<uint8_t>(low | high << 2);
      }
    }
  }

  // The scale of sub-block s before kScaleZero is taken off.
  static uint8_t UnpackScale(const Block& block, int s) {
    const int low = (block.scales[s % 8] >> (s / 8 * 4)) & 15;
    const int high = (block.scales[8 + s % 4] >> (s / 4 * 2)) & 3;
    return static_cast<uint8_t>(low | high << 4);
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[256];
    Unpack(block, codes);
    for (int s = 0; s < 16; ++s) {
      const float scale =
          ToFloat(block.scale) * static_cast<float>(UnpackScale(block, s) - kScaleZero);
      for (int i = 16 * s; i < 16 * s + 16; ++i)
        y[i] = scale * static_cast<float>(codes[i] - kZero);
    }
  }
};
static_assert(sizeof(Q3_K::Block) == 110);

}  // namespace forge
