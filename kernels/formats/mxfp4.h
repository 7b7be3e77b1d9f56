#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "kernels/formats/format.h"

namespace forge {

// Twice the sixteen values of a 4-bit float (E2M1), 16 above: 0 1 2 3 4 6 8 12 and their negatives.
struct Mxfp4Values {
  static constexpr int kZero = 16;
  static constexpr std::array<uint8_t, 16> kCodes = {16, 17, 18, 19, 20, 22, 24, 28,
                                                     16, 15, 14, 13, 12, 10, 8,  4};
};

// MXFP4 (OCP Microscaling): 32 weights share a power of two; value = 2^(exponent - 128) *
// (table[index] - 16). The indices lie as the codes of Q4_0.
struct MXFP4 {
  static constexpr DType kDType{39};
  static constexpr std::string_view kName = "MXFP4";
  static constexpr int kBlockElements = 32;
  using Table = Mxfp4Values;
  struct Block {
    uint8_t exponent;
    uint8_t quants[16];
  };

  // 2^(exponent - 128); subnormal for the exponents 0 and 1.
  static float Scale(uint8_t exponent) {
    const uint32_t bits =
        exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23;
    return std::bit_cast<float>(bits);
  }

  static void UnpackIndices(const Block& block, uint8_t* indices) {
    for (int i = 0; i < 16; ++i) {
      indices[i] = block.quants[i] & 15;
      indices[i + 16] = block.quants[i] >> 4;
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t indices[32];
    UnpackIndices(block, indices);
    const float scale = Scale(block.exponent);
    for (int i = 0; i < 32; ++i)
      y[i] = scale * static_cast<float>(Table::kCodes[indices[i]] - Table::kZero);
  }
};
static_assert(sizeof(MXFP4::Block) == 17);

}  // namespace forge
