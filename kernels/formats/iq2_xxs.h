#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ2_XXS: 256 weights in eight sub-blocks of 32, each with a 4-bit scale:
//   value = (scale * (2 * s + 1) / 8) * magnitude under its sign
// A sub-block is two words: four indices of a byte into the codebook of eight magnitudes each, then
// four times seven signs, and the scale in the top four bits.
struct IQ2_XXS {
  static constexpr DType kDType{16};
  static constexpr std::string_view kName = "IQ2_XXS";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 64;
  static constexpr int kBits = 7;
  static constexpr int kScales = 1;
  struct Block {
    F16 scale;
    uint16_t words[32];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<8, 256>& codebook = kIq2XxsCodebook) {
    const uint32_t indices = Word(block, 2 * s);
    const uint32_t signs = Word(block, 2 * s + 1);
    for (int g = 0; g < 4; ++g)
      UnpackSigned<kZero>(codebook.entries[indices >> (8 * g) & 255],
                          WithEvenParity(signs >> (7 * g) & 127), codes + 8 * g);
  }

  static constexpr float UnpackScale(const Block& block, int s) {
    const uint32_t odd = 2 * (Word(block, 2 * s + 1) >> 28) + 1;
    return ToFloat(block.scale) * 0.125f * static_cast<float>(odd);
  }

  static constexpr uint32_t Word(const Block& block, int i) {
    return block.words[2 * i] | static_cast<uint32_t>(block.words[2 * i + 1]) << 16;
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ2_XXS>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ2_XXS>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ2_XXS>(block, y); }
};
static_assert(sizeof(IQ2_XXS::Block) == 66);

}  // namespace forge
