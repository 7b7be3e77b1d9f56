#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/pack_layout.h"

namespace forge {

// Reads the packed layout in plain C++: for kernels without intrinsics.

// The code of `row` and column `k` of 32.
inline int CodeAt(const PackedCodes<2>& codes, int row, int k) {
  const int quad = k / 4;
  return (codes.pairs[quad / 4][4 * row + k % 4] >> (quad % 4 * 2)) & 3;
}

inline int CodeAt(const PackedCodes<3>& codes, int row, int k) {
  const int quad = k / 4;
  const int low = (codes.pairs[quad / 4][4 * row + k % 4] >> (quad % 4 * 2)) & 3;
  return low | ((codes.third_bits[4 * row + k % 4] >> quad) & 1) << 2;
}

template <typename Table, int kBits>
int CodeAt(const PackedIndices<Table, kBits>& indices, int row, int k) {
  const int quad = k / 4;
  const int index = (indices.nibbles[quad % 4][4 * row + k % 4] >> (quad / 4 * 4)) & 15;
  return Table::kCodes[static_cast<size_t>(index)];
}

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

// The six-bit value `i` of `row`; see PackedKScales.
inline int SixBitAt(const uint32_t (&six_bit)[3][16], int row, int i) {
  if (i < 15) return static_cast<int>(six_bit[i / 5][row] >> (6 * (i % 5)) & 63);
  return static_cast<int>(six_bit[0][row] >> 30 | six_bit[1][row] >> 30 << 2 |
                          six_bit[2][row] >> 30 << 4);
}

// The scale and the offset of columns 16 h .. 16 h + 15 of sub-block s, exactly as the file's
// format defines them.
inline float ScaleAt(const PackedScales& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.scale[row]);
}
inline float OffsetAt(const PackedScales&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedScalesAndOffsets& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.scale[row]);
}
inline float OffsetAt(const PackedScalesAndOffsets& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.offset[row]);
}

inline float ScaleAt(const PackedKScales& scales, int row, int s, int /*h*/) {
  return ToFloat(scales.scale[row]) * static_cast<float>(SixBitAt(scales.six_bit, row, s));
}
inline float OffsetAt(const PackedKScales& scales, int row, int s, int /*h*/) {
  return -(ToFloat(scales.min[row]) * static_cast<float>(SixBitAt(scales.six_bit, row, 8 + s)));
}

inline float ScaleAt(const PackedHalfScales& scales, int row, int s, int h) {
  return ToFloat(scales.scale[row]) * static_cast<float>(scales.sub[2 * s + h][row]);
}
inline float OffsetAt(const PackedHalfScales&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedExponents& scales, int row, int /*s*/, int /*h*/) {
  return MXFP4::Scale(scales.exponent[row]);
}
inline float OffsetAt(const PackedExponents&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedSharedScale& scales, int row, int /*s*/, int /*h*/) {
  return ToFloat(scales.scale[row]);
}
inline float OffsetAt(const PackedSharedScale&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedSplitScales& scales, int row, int s, int /*h*/) {
  const int low = static_cast<int>(scales.low[row] >> (4 * s) & 15);
  const int high = scales.high[row] >> (2 * s) & 3;
  return ToFloat(scales.scale[row]) * static_cast<float>((low | high << 4) - IQ4_XS::kScaleZero);
}
inline float OffsetAt(const PackedSplitScales&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedSixBitHalfScales& scales, int row, int s, int h) {
  const int factor = SixBitAt(scales.six_bit, row, 2 * s + h) - Q3_K::kScaleZero;
  return ToFloat(scales.scale[row]) * static_cast<float>(factor);
}
inline float OffsetAt(const PackedSixBitHalfScales&, int, int, int) { return 0.0f; }

inline float ScaleAt(const PackedHalfScalesAndMins& scales, int row, int s, int h) {
  return ToFloat(scales.scale[row]) * static_cast<float>(scales.sub[2 * s + h][row] & 15);
}
inline float OffsetAt(const PackedHalfScalesAndMins& scales, int row, int s, int h) {
  return -(ToFloat(scales.min[row]) * static_cast<float>(scales.sub[2 * s + h][row] >> 4));
}

// The file's block of `row`.
template <typename Layout>
typename Layout::FileBlock FileBlockAt(const typename Layout::Block& packed, int row) {
  typename Layout::FileBlock block;
  auto* bytes = reinterpret_cast<std::byte*>(&block) + Layout::kFirstWord;
  for (int w = 0; w < Layout::kWords; ++w)
    std::memcpy(bytes + 4 * w, &packed.words[w][row], sizeof(uint32_t));
  if constexpr (Layout::kHasScale) block.scale = packed.scale[row];
  return block;
}

// Expands `row` of one block to the format's exact values.
template <typename Layout>
void DequantizePackedRow(const typename Layout::Block& block, int row, float* y) {
  if constexpr (requires { typename Layout::FileBlock; }) {
    Layout::Format::Dequantize(FileBlockAt<Layout>(block, row), y);
  } else if constexpr (Layout::kIsQuantized) {
    for (int s = 0; s < Layout::kSubBlocks; ++s) {
      for (int h = 0; h < 2; ++h) {
        const float scale = ScaleAt(block.scales, row, s, h);
        const float offset = OffsetAt(block.scales, row, s, h);
        for (int k = 16 * h; k < 16 * h + 16; ++k) {
          const float product =
              scale * static_cast<float>(CodeAt(block.codes[s], row, k) - Layout::kZero);
          y[32 * s + k] = Layout::kOffsets > 0 ? product + offset : product;
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
