#pragma once

#include <cstdint>

#include "kernels/cpu/pack_layout.h"

namespace forge {

// Reads the packed layout in plain C++: for kernels without intrinsics.

// The code of `row` and column `k` of 32.
inline int CodeAt(const PackedCodes<4>& codes, int row, int k) {
  const int quad = k / 4;
  return (codes.nibbles[quad % 4][4 * row + k % 4] >> (quad / 4 * 4)) & 15;
}

inline int CodeAt(const PackedCodes<5>& codes, int row, int k) {
  const int quad = k / 4;
  const int low = (codes.nibbles[quad % 4][4 * row + k % 4] >> (quad / 4 * 4)) & 15;
  return low | ((codes.fifth_bits[4 * row + k % 4] >> quad) & 1) << 4;
}

inline int CodeAt(const PackedCodes<6>& codes, int row, int k) {
  const int quad = k / 4;
  const int low = (codes.nibbles[quad % 4][4 * row + k % 4] >> (quad / 4 * 4)) & 15;
  return low | ((codes.upper_bits[quad / 4][4 * row + k % 4] >> (quad % 4 * 2)) & 3) << 4;
}

inline int CodeAt(const PackedCodes<8>& codes, int row, int k) {
  return codes.bytes[k / 4][4 * row + k % 4];
}

// The six-bit value `i` of `row`.
inline int SixBitAt(const PackedKScales& scales, int row, int i) {
  if (i < 15) return static_cast<int>(scales.six_bit[i / 5][row] >> (6 * (i % 5)) & 63);
  return static_cast<int>(scales.six_bit[0][row] >> 30 | scales.six_bit[1][row] >> 30 << 2 |
                          scales.six_bit[2][row] >> 30 << 4);
}

// The scale and the offset of columns 16 h .. 16 h + 15 of sub-block s, exactly as the file's
// format defines them.
inline float ScaleAt(const PackedScales& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.scale[row]);
}
inline float OffsetAt(const PackedScales&, int, int) { return 0.0f; }

inline float ScaleAt(const PackedScalesAndOffsets& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.scale[row]);
}
inline float OffsetAt(const PackedScalesAndOffsets& scales, int row, int /*s*/) {
  return ToFloat(scales.offset[row]);
}

inline float ScaleAt(const PackedKScales& scales, int row, int s, int /*h*/) {
  return ToFloat(scales.scale[row]) * static_cast<float>(SixBitAt(scales, row, s));
}
inline float OffsetAt(const PackedKScales& scales, int row, int s) {
  return -(ToFloat(scales.min[row]) * static_cast<float>(SixBitAt(scales, row, 8 + s)));
}

inline float ScaleAt(const PackedHalfScales& scales, int row, int s, int h) {
  return ToFloat(scales.scale[row]) * static_cast<float>(scales.sub[2 * s + h][row]);
}
inline float OffsetAt(const PackedHalfScales&, int, int) { return 0.0f; }

// Expands `row` of one block to the format's exact values.
template <typename Layout>
void DequantizePackedRow(const typename Layout::Block& block, int row, float* y) {
  if constexpr (Layout::kIsQuantized) {
    for (int s = 0; s < Layout::kSubBlocks; ++s) {
      const float offset = OffsetAt(block.scales, row, s);
      for (int h = 0; h < 2; ++h) {
        const float scale = ScaleAt(block.scales, row, s, h);
        for (int k = 16 * h; k < 16 * h + 16; ++k) {
          const float product =
              scale * static_cast<float>(CodeAt(block.codes[s], row, k) - Layout::kZero);
          y[32 * s + k] = Layout::Scales::kHasOffset ? product + offset : product;
        }
      }
    }
  } else if constexpr (sizeof(typename Layout::Element) == sizeof(float)) {
    *y = block.values[row];
  } else {
    *y = ToFloat(block.values[row]);
  }
}

}  // namespace forge
