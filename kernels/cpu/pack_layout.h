#pragma once

#include <cstdint>

#include "kernels/base/half.h"
#include "kernels/cpu/pack.h"
#include "kernels/formats/formats.h"

namespace forge {

// How the CPU device keeps weights: 16 rows side by side, so that one vector instruction serves 16
// rows with one broadcast of the activations and no sum across lanes is ever needed. A row group is
// an array of blocks along the columns; groups follow each other. Weights stay quantised, and a
// packed block is as large as the 16 blocks of the file it is made of.

// The codes of 16 rows x 32 columns. Four columns form a quad; the four codes of a row and quad are
// adjacent bytes, so that quad q of all rows is 64 bytes: byte 4 * row + i is column 4 * q + i.
template <int kBits>
struct PackedCodes;

template <>
struct PackedCodes<4> {
  uint8_t nibbles[4][64];  // [q]: quad q in the low nibbles, quad q + 4 in the high ones
};

template <>
struct PackedCodes<5> {
  uint8_t nibbles[4][64];
  uint8_t fifth_bits[64];  // bit q of a byte belongs to quad q
};

template <>
struct PackedCodes<6> {
  uint8_t nibbles[4][64];
  uint8_t upper_bits[2][64];  // [h]: bits 2 r and 2 r + 1 belong to quad 4 h + r
};

template <>
struct PackedCodes<8> {
  uint8_t bytes[8][64];
};

// The scales of 16 rows. kPerSubBlock is the number of scales that 32 columns have, kHasOffset says
// that value = scale * code + offset rather than scale * (code - zero).
struct PackedScales {
  static constexpr int kPerSubBlock = 1;
  static constexpr bool kHasOffset = false;
  F16 scale[16];
};

struct PackedScalesAndOffsets {
  static constexpr int kPerSubBlock = 1;
  static constexpr bool kHasOffset = true;
  F16 scale[16];
  F16 offset[16];
};

// Scale of sub-block s: scale * (six-bit value s); offset: -min * (six-bit value 8 + s). Word w of
// a row holds the values 5 w .. 5 w + 4 in its low 30 bits; the top two bits of the three words are
// value 15, lowest first.
struct PackedKScales {
  static constexpr int kPerSubBlock = 1;
  static constexpr bool kHasOffset = true;
  uint32_t six_bit[3][16];
  F16 scale[16];
  F16 min[16];
};

// Scale of columns 16 i .. 16 i + 15: scale * sub[i].
struct PackedHalfScales {
  static constexpr int kPerSubBlock = 2;
  static constexpr bool kHasOffset = false;
  int8_t sub[16][16];  // [i][row]
  F16 scale[16];
};

// Rows of quantised weights; codes are stored unsigned, `kZeroCode` above their value.
template <int kBitsOfCode, typename ScalesOfBlock, int kSubBlocksOfBlock, int kZeroCode>
struct QuantizedLayout {
  static constexpr bool kIsQuantized = true;
  static constexpr int kBits = kBitsOfCode;
  static constexpr int kSubBlocks = kSubBlocksOfBlock;  // of 32 columns
  static constexpr int kColumns = 32 * kSubBlocks;
  static constexpr int kZero = kZeroCode;
  using Scales = ScalesOfBlock;
  struct Block {
    PackedCodes<kBits> codes[kSubBlocks];
    Scales scales;
  };
};

// Rows of floating-point weights: the 16 values of one column.
template <typename ElementOfRow>
struct FloatLayout {
  static constexpr bool kIsQuantized = false;
  static constexpr int kColumns = 1;
  using Element = ElementOfRow;
  struct Block {
    Element values[16];
  };
};

template <typename Format>
struct PackLayout;
template <>
struct PackLayout<F32Format> : FloatLayout<float> {};
template <>
struct PackLayout<F16Format> : FloatLayout<F16> {};
template <>
struct PackLayout<Bf16Format> : FloatLayout<Bf16> {};
template <>
struct PackLayout<Q4_0> : QuantizedLayout<4, PackedScales, 1, Q4_0::kZero> {};
template <>
struct PackLayout<Q4_1> : QuantizedLayout<4, PackedScalesAndOffsets, 1, 0> {};
template <>
struct PackLayout<Q5_0> : QuantizedLayout<5, PackedScales, 1, Q5_0::kZero> {};
template <>
struct PackLayout<Q5_1> : QuantizedLayout<5, PackedScalesAndOffsets, 1, 0> {};
template <>
struct PackLayout<Q8_0> : QuantizedLayout<8, PackedScales, 1, Q8_0::kZero> {};
template <>
struct PackLayout<Q4_K> : QuantizedLayout<4, PackedKScales, 8, 0> {};
template <>
struct PackLayout<Q5_K> : QuantizedLayout<5, PackedKScales, 8, 0> {};
template <>
struct PackLayout<Q6_K> : QuantizedLayout<6, PackedHalfScales, 8, Q6_K::kZero> {};

// Bytes of one group of 16 rows.
template <typename Format>
constexpr int64_t PackedGroupBytes(int64_t n_cols) {
  using Layout = PackLayout<Format>;
  static_assert(sizeof(typename Layout::Block) == kCpuPackRows * sizeof(typename Format::Block) *
                                                      Layout::kColumns / Format::kBlockElements);
  return n_cols / Layout::kColumns * static_cast<int64_t>(sizeof(typename Layout::Block));
}

}  // namespace forge
