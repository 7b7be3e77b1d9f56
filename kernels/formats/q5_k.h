#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"
#include "kernels/formats/k_scales.h"

namespace forge {

// Q5_K: 256 weights in eight sub-blocks of 32, each with a 6-bit scale and min:
//   value = (scale * scales[s]) * code - min * mins[s]
// The low four bits of the codes lie as in Q4_K; bit s of high_bits[i] is the fifth of element i of
// sub-block s.
struct Q5_K {
  static constexpr DType kDType{13};
  static constexpr std::string_view kName = "Q5_K";
  static constexpr int kBlockElements = 256;
  struct Block {
    F16 scale;
    F16 min;
    uint8_t scales[12];
    uint8_t high_bits[32];
    uint8_t quants[128];
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int s = 0; s < 8; ++s) {
      for (int i = 0; i < 32; ++i) {
        const int low = (block.quants[32 * (s / 2) + i] >> (s % 2 * 4)) & 15;
        const int high = (block.high_bits[i] >> s) & 1;
        codes[32 * s + i] = static_cast<uint8_t>(low | high << 4);
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
static_assert(sizeof(Q5_K::Block) == 176);

}  // namespace forge
