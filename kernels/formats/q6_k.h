#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q6_K: 256 weights in sixteen sub-blocks of 16, each with an 8-bit scale:
//   value = (scale * scales[s]) * (code - 32)
// Each half of 128 elements uses 64 bytes of `low_bits` and 32 of `high_bits`: its quarter k of 32
// elements has its low nibbles in bytes 32 (k % 2) .. of the former (upper nibbles from k = 2 on)
// and its upper two bits at bit 2 k of the latter.
struct Q6_K {
  static constexpr DType kDType{14};
  static constexpr std::string_view kName = "Q6_K";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 32;
  struct Block {
    uint8_t low_bits[128];
    uint8_t high_bits[64];
    int8_t scales[16];
    F16 scale;
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int quarter = 0; quarter < 8; ++quarter) {
      const int half = quarter / 4;
      const int k = quarter % 4;
      for (int i = 0; i < 32; ++i) {
        const int low = (block.low_bits[64 * half + 32 * (k % 2) + i] >> (k / 2 * 4)) & 15;
        const int high = (block.high_bits[32 * half + i] >> (2 * k)) & 3;
        codes[32 * quarter + i] = static_cast<uint8_t>(low | high << 4);
      }
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[256];
    Unpack(block, codes);
    for (int s = 0; s < 16; ++s) {
      const float scale = ToFloat(block.scale) * static_cast<float>(block.scales[s]);
      for (int i = 16 * s; i < 16 * s + 16; ++i)
        y[i] = scale * static_cast<float>(codes[i] - kZero);
    }
  }
};
static_assert(sizeof(Q6_K::Block) == 210);

}  // namespace forge
