#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"
#include "kernels/formats/iq4_values.h"

namespace forge {

// IQ4_XS: 256 weights in eight sub-blocks of 32, each with a 6-bit scale:
//   value = (scale * (scale of s - 32)) * (table[index] - 128)
// Bytes 16 s .. 16 s + 15 of `quants` hold sub-block s as those of Q4_0 do. The scales' low nibbles
// are in scales_low (two a byte, the even one low), their upper two bits at bit 2 s of scales_high.
struct IQ4_XS {
  static constexpr DType kDType{23};
  static constexpr std::string_view kName = "IQ4_XS";
  static constexpr int kBlockElements = 256;
  static constexpr int kScaleZero = 32;
  using Table = Iq4Values;
  struct Block {
    F16 scale;
    uint16_t scales_high;
    uint8_t scales_low[4];
    uint8_t quants[128];
  };

  static void UnpackIndices(const Block& block, uint8_t* indices) {
    for (int s = 0; s < 8; ++s) {
      for (int i = 0; i < 16; ++i) {
        indices[32 * s + i] = block.quants[16 * s + i] & 15;
        indices[32 * s + 16 + i] = block.quants[16 * s + i] >> 4;
      }
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t indices[256];
    UnpackIndices(block, indices);
    for (int s = 0; s < 8; ++s) {
      const int low = (block.scales_low[s / 2] >> (s % 2 * 4)) & 15;
      const int high = (block.scales_high >> (2 * s)) & 3;
      const float scale = ToFloat(block.scale) * static_cast<float>((low | high << 4) - kScaleZero);
      for (int i = 32 * s; i < 32 * s + 32; ++i)
        y[i] = scale * static_cast<float>(Table::kCodes[indices[i]] - Table::kZero);
    }
  }
};
static_assert(sizeof(IQ4_XS::Block) == 136);

}  // namespace forge
