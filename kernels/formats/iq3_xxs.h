#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ3_XXS: 256 weights in eight sub-blocks of 32, each with a 4-bit scale:
//   value = (scale * (2 * s + 1) / 4) * magnitude under its sign
// Four weights are a byte that indexes the codebook. Of each sub-block there is a word with four
// times seven signs and the scale in the top four bits.
struct IQ3_XXS {
  static constexpr DType kDType{18};
  static constexpr std::string_view kName = "IQ3_XXS";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 64;
  static constexpr int kBits = 7;
  static constexpr int kScales = 1;
  struct Block {
    F16 scale;
    uint8_t indices[64];
    uint8_t words[32];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<4, 256>& codebook = kIq3XxsCodebook) {
    const uint32_t word = Word(block, s);
    for (int q = 0; q < 8; ++q) {
      const uint32_t signs = WithEvenParity(word >> (7 * (q / 2)) & 127);
      UnpackSigned<kZero>(codebook.entries[block.indices[8 * s + q]], signs >> (4 * (q % 2)),
                          codes + 4 * q);
    }
  }

  static constexpr float UnpackScale(const Block& block, int s) {
    const uint32_t odd = 2 * (Word(block, s) >> 28) + 1;
    return ToFloat(block.scale) * 0.25f * static_cast<float>(odd);
  }

  static constexpr uint32_t Word(const Block& block, int i) {
    const uint8_t* bytes = block.words + 4 * i;  // little endian; compilers make one load of it
    return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8 | static_cast<uint32_t>(bytes[2]) << 16 |
           static_cast<uint32_t>(bytes[3]) << 24;
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ3_XXS>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ3_XXS>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ3_XXS>(block, y); }
};
static_assert(sizeof(IQ3_XXS::Block) == 98);

}  // namespace forge
