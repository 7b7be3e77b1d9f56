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

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes) {
    if (s < 5) {
      for (int i = 0; i < 32; ++i) codes[i] = Trit(block.first[i], s);
      return;
    }
    const int n = 2 * (s - 5);
    for (int i = 0; i < 16; ++i) codes[i] = Trit(block.middle[i], n);
    for (int i = 0; i < 16; ++i)
      codes[16 + i] = s < 7 ? Trit(block.middle[i], n + 1) : Trit(block.last[i % 4], i / 4);
  }

  static constexpr float UnpackScale(const Block& block, int) { return ToFloat(block.scale); }

  static constexpr uint8_t kPowers[5] = {1, 3, 9, 27, 81};

  static constexpr uint8_t Trit(uint8_t byte, int n) {
    constexpr uint64_t kPowerBytes = 0x511b090301;  // kPowers, which kernels of a GPU cannot index
    const auto power = static_cast<uint32_t>(kPowerBytes >> (8 * n) & 255);
    return static_cast<uint8_t>((byte * power & 255) * 3 >> 8);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<TQ1_0>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<TQ1_0>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<TQ1_0>(block, y); }
};
static_assert(sizeof(TQ1_0::Block) == 54);

}  // namespace forge
