#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ2_XS: 256 weights in sixteen sub-blocks of 16, each with a 4-bit scale:
//   value = (scale * (2 * s + 1) / 8) * magnitude under its sign
// Eight weights are a 9-bit index into the codebook and, above it, seven signs. Byte i of `scales`
// holds the scales of sub-blocks 2 i (low) and 2 i + 1.
struct IQ2_XS {
  static constexpr DType kDType{17};
  static constexpr std::string_view kName = "IQ2_XS";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 64;
  static constexpr int kBits = 7;
  static constexpr int kScales = 2;
  struct Block {
    F16 scale;
    uint16_t groups[32];
    uint8_t scales[8];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<8, 512>& codebook = kIq2XsCodebook) {
    for (int g = 0; g < 4; ++g) {
      const uint32_t group = block.groups[4 * s + g];
      UnpackSigned<kZero>(codebook.entries[group & 511], WithEvenParity(group >> 9), codes + 8 * g);
    }
  }

  static constexpr float UnpackScale(const Block& block, int i) {
    const int odd = 2 * (block.scales[i / 2] >> (i % 2 * 4) & 15) + 1;
    return ToFloat(block.scale) * 0.125f * static_cast<float>(odd);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ2_XS>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ2_XS>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ2_XS>(block, y); }
};
static_assert(sizeof(IQ2_XS::Block) == 74);

}  // namespace forge
