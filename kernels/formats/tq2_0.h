#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"

namespace forge {

// TQ2_0: 256 ternary weights share one scale; value = scale * (code - 1).
// The codes lie as in Q2_K.
struct TQ2_0 {
  static constexpr DType kDType{35};
  static constexpr std::string_view kName = "TQ2_0";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 1;
  struct Block {
    uint8_t quants[64];
    F16 scale;
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int quarter = 0; quarter < 8; ++quarter)
      for (int i = 0; i < 32; ++i)
        codes[32 * quarter + i] = (block.quants[32 * (quarter / 4) + i] >> (quarter % 4 * 2)) & 3;
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t codes[256];
    Unpack(block, codes);
    const float scale = ToFloat(block.scale);
    for (int i = 0; i < 256; ++i) y[i] = static_cast<float>(codes[i] - kZero) * scale;
  }
};
static_assert(sizeof(TQ2_0::Block) == 66);

}  // namespace forge
