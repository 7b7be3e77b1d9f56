#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ1_M: 256 weights in sixteen sub-blocks of 16, each with a 3-bit scale, and offsets of plus or
// minus an eighth for each eight:
//   value = (scale * (2 * s + 1)) * (-1, 0 or 1, plus the offset)
// Eight weights are an 11-bit index into the codebook, whose upper three bits are the low ones of a
// nibble of `high_bits`; the nibble's top bit is the sign of the offset. scales[i] holds the scales
// of four sub-blocks, lowest first, and in its top four bits nibble i of the scale of all, an F16.
// Codes count in eighths.
struct IQ1_M {
  static constexpr DType kDType{29};
  static constexpr std::string_view kName = "IQ1_M";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 16;
  static constexpr int kBits = 5;
  static constexpr int kScales = 2;
  struct Block {
    uint8_t indices[32];
    uint8_t high_bits[16];
    uint16_t scales[4];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<8, 2048>& codebook = kIq1Codebook) {
    for (int g = 4 * s; g < 4 * s + 4; ++g) {
      const uint32_t nibble = block.high_bits[g / 2] >> (g % 2 * 4) & 15u;
      const int offset = (nibble & 8) != 0 ? -1 : 1;
      const auto& entry = codebook.entries[block.indices[g] | (nibble & 7) << 8];
      for (size_t i = 0; i < 8; ++i) *codes++ = static_cast<uint8_t>(kZero + entry[i] + offset);
    }
  }

  static constexpr float UnpackScale(const Block& block, int i) {
    uint32_t bits = 0;
    for (int k = 0; k < 4; ++k) bits |= static_cast<uint32_t>(block.scales[k] >> 12) << (4 * k);
    const int odd = 2 * (block.scales[i / 4] >> (i % 4 * 3) & 7) + 1;
    return ToFloat(F16{static_cast<uint16_t>(bits)}) * 0.125f * static_cast<float>(odd);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ1_M>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ1_M>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ1_M>(block, y); }
};
static_assert(sizeof(IQ1_M::Block) == 56);

}  // namespace forge
