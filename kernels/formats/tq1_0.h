#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// TQ1_0: 256 ternary weights share one scale; value = scale * (trit - 1).
// A byte holds the trits of five weights (of four in `last`) as a fraction of 256: its trit n is
// the upper byte of 3 * (byte * 3^n mod 256). Byte i of `first` has weights 32 n + i, of `middle`
// weights 160 + 16 n + i, of `last` weights 240 + 4 n + i.
struct TQ1_0 {
  static constexpr DType kDType{34};
  static constexpr std::string_view kName = "TQ1_0";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 1;
  static constexpr int kBits = 2;
  static constexpr int kScales = 1;
  struct Block {
    uint8_t first[32];
    uint8_t middle[16];
    uint8_t last[4];
    F16 scale;
  };

  static void Unpack(const Block& block, uint8_t* codes) {
    for (int n = 0; n < 5; ++n) {
      for (int i = 0; i < 32; ++i) codes[32 * n + i] = Trit(block.first[i], n);
      for (int i = 0; i < 16; ++i) codes[160 + 16 * n + i] = Trit(block.middle[i], n);
    }
    for (int n = 0; n < 4; ++n)
      for (int i = 0; i < 4; ++i) codes[240 + 4 * n + i] = Trit(block.last[i], n);
  }

  static void UnpackScales(const Block& block, float* scales) {
    for (int s = 0; s < 8; ++s) scales[s] = ToFloat(block.scale);
  }

  static constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};

  static uint8_t Trit(uint8_t byte, int n) {
    return static_cast<uint8_t>((byte * kPowers[n] & 255) * 3 >> 8);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<TQ1_0>(block, y); }
};
static_assert(sizeof(TQ1_0::Block) == 54);

}  // namespace forge
