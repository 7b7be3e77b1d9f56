#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// Q5_0: 32 weights share one scale; value = scale * (code - 16).
// The low four bits of the codes lie as in Q4_0; bit i % 8 of high_bits[i / 8] is the fifth of
// element i.
struct Q5_0 {
  static constexpr DType kDType{6};
  static constexpr std::string_view kName = "Q5_0";
  static constexpr int kBlockElements = 32;
  static constexpr int kZero = 16;
  struct Block {
    F16 scale;
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
    for (int i = 0; i < 32; ++i) y[i] = static_cast<float>(codes[i] - kZero) * scale;
  }
};
static_assert(sizeof(Q5_0::Block) == 22);

}  // namespace forge
