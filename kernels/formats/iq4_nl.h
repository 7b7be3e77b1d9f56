#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/half.h"
#include "kernels/formats/format.h"
#include "kernels/formats/iq4_values.h"

namespace forge {

// IQ4_NL: 32 weights share one scale; value = scale * (table[index] - 128).
// The indices lie as the codes of Q4_0.
struct IQ4_NL {
  static constexpr DType kDType{20};
  static constexpr std::string_view kName = "IQ4_NL";
  static constexpr int kBlockElements = 32;
  using Table = Iq4Values;
  struct Block {
    F16 scale;
    uint8_t quants[16];
  };

  static void UnpackIndices(const Block& block, uint8_t* indices) {
    for (int i = 0; i < 16; ++i) {
      indices[i] = block.quants[i] & 15;
      indices[i + 16] = block.quants[i] >> 4;
    }
  }

  static void Dequantize(const Block& block, float* y) {
    uint8_t indices[32];
    UnpackIndices(block, indices);
    const float scale = ToFloat(block.scale);
    for (int i = 0; i < 32; ++i)
      y[i] = scale * static_cast<float>(Table::kCodes[indices[i]] - Table::kZero);
  }
};
static_assert(sizeof(IQ4_NL::Block) == 18);

}  // namespace forge
