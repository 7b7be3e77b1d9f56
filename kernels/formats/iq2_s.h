#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ2_S: 256 weights in sixteen sub-blocks of 16, each with a 4-bit scale:
//   value = (scale * (2 * s + 1) / 8) * magnitude under its sign
// Eight weights are a 10-bit index into the codebook, whose upper bits are two of `high_bits`, and
// a byte of signs. Byte i of `scales` holds the scales of sub-blocks 2 i (low) and 2 i + 1.
struct IQ2_S {
  static constexpr DType kDType{22};
  static constexpr std::string_view kName = "IQ2_S";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 64;
  static constexpr int kBits = 7;
  static constexpr int kScales = 2;
  struct Block {
    F16 scale;
    uint8_t indices[32];
    uint8_t signs[32];
    uint8_t high_bits[8];
    uint8_t scales[8];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<8, 1024>& codebook = kIq2SCodebook) {
    for (int g = 4 * s; g < 4 * s + 4; ++g, codes += 8) {
      const size_t high = block.high_bits[g / 4] >> (g % 4 * 2) & 3u;
      UnpackSigned<kZero>(codebook.entries[block.indices[g] | high << 8], block.signs[g], codes);
    }
  }

  static constexpr float UnpackScale(const Block& block, int i) {
    const int odd = 2 * (block.scales[i / 2] >> (i % 2 * 4) & 15) + 1;
    return ToFloat(block.scale) * 0.125f * static_cast<float>(odd);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ2_S>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ2_S>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ2_S>(block, y); }
};
static_assert(sizeof(IQ2_S::Block) == 82);

}  // namespace forge
