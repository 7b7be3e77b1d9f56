#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"
#include "kernels/formats/k_scales.h"

namespace forge {

// Q4_K: 256 weights in eight sub-blocks of 32, each with a 6-bit scale and min:
//   value = (scale * scales[s]) * code - min * mins[s]
// Bytes 32 g .. 32 g + 31 of `quants` hold sub-block 2 g in their low and 2 g + 1 in their high
// nibbles.
struct Q4_K {
  static constexpr DType kDType{12};
  static constexpr std::string_view kName = "Q4_K";
  static constexpr int kBlockElements = 256;
  struct Block {
    F16 scale;
    F16 min;
    uint8_t scales[12];
    uint8_t quants[128];
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int g = 0; g < 4; ++g) {
      for (int i = 0; i < 32; ++i) {
        codes[64 * g + i] = block.quants[32 * g + i] & 15;
        codes[64 * g + 32 + i] = block.quants[32 * g + i] >> 4;
      }
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[256];
    Unpack(block, codes);
    const KScales sub = UnpackKScales(block.scales);
    for (int s = 0; s < 8; ++s) {
      const float scale = ToFloat(block.scale) * static_cast<float>(sub.scales[s]);
      const float min = ToFloat(block.min) * static_cast<float>(sub.mins[s]);
      for (int i = 32 * s; i < 32 * s + 32; ++i) y[i] = scale * static_cast<float>(codes[i]) - min;
    }
  }
};
static_assert(sizeof(Q4_K::Block) == 144);

}  // namespace forge
