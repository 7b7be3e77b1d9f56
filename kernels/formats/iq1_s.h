#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ1_S: 256 weights in eight sub-blocks of 32, each with a 3-bit scale and an offset of plus or
// minus an eighth:
//   value = (scale * (2 * s + 1)) * (-1, 0 or 1, plus the offset)
// Eight weights are an 11-bit index into the codebook. groups[s] holds the upper three bits of four
// indices, the scale (bits 12-14) and the sign of the offset (bit 15). Codes count in eighths.
struct IQ1_S {
  static constexpr DType kDType{19};
  static constexpr std::string_view kName = "IQ1_S";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 16;
  static constexpr int kBits = 5;
  static constexpr int kScales = 1;
  struct Block {
    F16 scale;
    uint8_t indices[32];
    uint16_t groups[8];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<8, 2048>& codebook = kIq1Codebook) {
    const uint32_t group = block.groups[s];
    const uint32_t zero = (group & 0x8000) != 0 ? kZero - 1 : kZero + 1;
    for (int g = 0; g < 4; ++g) {
      const size_t high = group >> (3 * g) & 7;
      const auto& entry = codebook.entries[block.indices[4 * s + g] | high << 8];
      StoreBytes<8>(AddToBytes(LoadBytes(entry), zero), codes + 8 * g);
    }
  }

  static constexpr float UnpackScale(const Block& block, int s) {
    const int odd = 2 * (block.groups[s] >> 12 & 7) + 1;
    return ToFloat(block.scale) * 0.125f * static_cast<float>(odd);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ1_S>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ1_S>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ1_S>(block, y); }
};
static_assert(sizeof(IQ1_S::Block) == 50);

}  // namespace forge
