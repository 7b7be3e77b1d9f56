#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q2_K: 256 weights in sixteen sub-blocks of 16, each with a 4-bit scale and min:
//   value = (scale * (scales[s] & 15)) * code - min * (scales[s] >> 4)
// Quarter k of 32 elements of a half of 128 is at bit 2 k of the half's 32 bytes of `quants`.
struct Q2_K {
  static constexpr DType kDType{10};
  static constexpr std::string_view kName = "Q2_K";
  static constexpr int kBlockElements = 256;
  struct Block {
    uint8_t scales[16];
    uint8_t quants[64];
    F16 scale;
    F16 min;
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int quarter = 0; quarter < 8; ++quarter)
      for (int i = 0; i < 32; ++i)
        codes[32 * quarter + i] = (block.quants[32 * (quarter / 4) + i] >> (quarter % 4 * 2)) & 3;
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[256];
    Unpack(block, codes);
    for (int s = 0; s < 16; ++s) {
      const float scale = ToFloat(block.scale) * static_cast<float>(block.scales[s] & 15);
      const float min = ToFloat(block.min) * static_cast<float>(block.scales[s] >> 4);
      for (int i = 16 * s; i < 16 * s + 16; ++i) y[i] = scale * static_cast<float>(codes[i]) - min;
    }
  }
};
static_assert(sizeof(Q2_K::Block) == 84);

}  // namespace forge
