#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/codebooks.h"
#include "kernels/formats/expanded.h"
#include "kernels/formats/format.h"

namespace forge {

// IQ3_S: 256 weights in eight sub-blocks of 32, each with a 4-bit scale:
//   value = (scale * (2 * s + 1)) * magnitude under its sign
// Four weights are a 9-bit index into the codebook, whose top bit is bit q of high_bits[s] for quad
// q of sub-block s. Byte i of `scales` holds the scales of sub-blocks 2 i (low) and 2 i + 1.
struct IQ3_S {
  static constexpr DType kDType{21};
  static constexpr std::string_view kName = "IQ3_S";
  static constexpr int kBlockElements = 256;
  static constexpr int kZero = 16;
  static constexpr int kBits = 5;
  static constexpr int kScales = 1;
  struct Block {
    F16 scale;
    uint8_t indices[64];
    uint8_t high_bits[8];
    uint8_t signs[32];
    uint8_t scales[4];
  };

  static constexpr void UnpackPart(const Block& block, int s, uint8_t* codes,
                                   const Codebook<4, 512>& codebook = kIq3SCodebook) {
    for (int i = 8 * s; i < 8 * s + 8; ++i, codes += 4) {
      const size_t high = block.high_bits[i / 8] >> (i % 8) & 1u;
      UnpackSigned<kZero>(codebook.entries[block.indices[i] | high << 8],
                          static_cast<uint32_t>(block.signs[i / 2]) >> (4 * (i % 2)), codes);
    }
  }

  static constexpr float UnpackScale(const Block& block, int s) {
    const int odd = 2 * (block.scales[s / 2] >> (s % 2 * 4) & 15) + 1;
    return ToFloat(block.scale) * static_cast<float>(odd);
  }

  static void Unpack(const Block& block, uint8_t* codes) { UnpackExpanded<IQ3_S>(block, codes); }
  static void UnpackScales(const Block& block, float* scales) {
    UnpackExpandedScales<IQ3_S>(block, scales);
  }

  static void Dequantize(const Block& block, float* y) { DequantizeExpanded<IQ3_S>(block, y); }
};
static_assert(sizeof(IQ3_S::Block) == 110);

}  // namespace forge
