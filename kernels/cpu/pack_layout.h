#pragma once

#include <cstddef>
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
// kBits: codes are below 2^kBits once they are read; kIsInOnePlane: all bits of a code are in one
// byte.
template <int kBitsOfCode>
struct PackedCodes;

template <>
struct PackedCodes<2> {
  static constexpr int kBits = 2;
  static constexpr bool kIsInOnePlane = true;
  uint8_t pairs[2][64];  // [h]: bits 2 r and 2 r + 1 belong to quad 4 h + r
};

template <>
struct PackedCodes<3> {
  static constexpr int kBits = 3;
  static constexpr bool kIsInOnePlane = false;
  uint8_t pairs[2][64];
  uint8_t third_bits[64];  // bit q of a byte belongs to quad q
};

template <>
struct PackedCodes<4> {
  static constexpr int kBits = 4;
  static constexpr bool kIsInOnePlane = true;
  uint8_t nibbles[4][64];  // [q]: quad q in the low nibbles, quad q + 4 in the high ones
};

template <>
struct PackedCodes<5> {
  static constexpr int kBits = 5;
  static constexpr bool kIsInOnePlane = false;
  uint8_t nibbles[4][64];
  uint8_t fifth_bits[64];  // bit q of a byte belongs to quad q
};

template <>
struct PackedCodes<6> {
  static constexpr int kBits = 6;
  static constexpr bool kIsInOnePlane = false;
  uint8_t nibbles[4][64];
  uint8_t upper_bits[2][64];  // [h]: bits 2 r and 2 r + 1 belong to quad 4 h + r
};

template <>
struct PackedCodes<8> {
  static constexpr int kBits = 8;
  static constexpr bool kIsInOnePlane = true;
  uint8_t bytes[8][64];
};

// Indices into the sixteen codes of a table.
template <typename TableOfFormat, int kBitsOfCode>
struct PackedIndices {
  static constexpr int kBits = kBitsOfCode;
  static constexpr bool kIsInOnePlane = true;
  using Table = TableOfFormat;
  uint8_t nibbles[4][64];  // as in PackedCodes<4>
};

// The scales of 16 rows. kPerSubBlock is the number of scales that 32 columns have; with kOffsets,
// the number of offsets, value = scale * code + offset, else value = scale * (code - zero).
struct PackedScales {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 0;
  F16 scale[16];
};

struct PackedScalesAndOffsets {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 1;
  F16 scale[16];
  F16 offset[16];
};

// Scale: 2^(exponent - 128).
struct PackedExponents {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 0;
  uint8_t exponent[16];
};

// One scale for eight sub-blocks.
struct PackedSharedScale {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 0;
  F16 scale[16];
};

// Scale of sub-block s: scale * (six-bit value s - 32). The value's low nibble is at bit 4 s of
// `low`, its upper two bits at bit 2 s of `high`.
struct PackedSplitScales {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 0;
  uint32_t low[16];
  uint16_t high[16];
  F16 scale[16];
};

// Scale of sub-block s: scale * (six-bit value s); offset: -min * (six-bit value 8 + s). Word w of
// a row holds the values 5 w .. 5 w + 4 in its low 30 bits; the top two bits of the three words are
// value 15, lowest first.
struct PackedKScales {
  static constexpr int kPerSubBlock = 1;
  static constexpr int kOffsets = 1;
  uint32_t six_bit[3][16];
  F16 scale[16];
  F16 min[16];
};

// Scale of columns 16 i .. 16 i + 15: scale * sub[i].
struct PackedHalfScales {
  static constexpr int kPerSubBlock = 2;
  static constexpr int kOffsets = 0;
  int8_t sub[16][16];  // [i][row]
  F16 scale[16];
};

// Scale of columns 16 i .. 16 i + 15: scale * (six-bit value i - 32), which lie as in
// PackedKScales.
struct PackedSixBitHalfScales {
  static constexpr int kPerSubBlock = 2;
  static constexpr int kOffsets = 0;
  uint32_t six_bit[3][16];
  F16 scale[16];
};

// Columns 16 i .. 16 i + 15 have the scale: scale * (low nibble of sub[i]), and the offset: -min *
// (high nibble).
struct PackedHalfScalesAndMins {
  static constexpr int kPerSubBlock = 2;
  static constexpr int kOffsets = 2;
  uint8_t sub[16][16];  // [i][row]
  F16 scale[16];
  F16 min[16];
};

// Rows of quantised weights; codes are stored unsigned, `kZeroCode` above their value. With two
// digits the activations are rounded to 16 bits instead of 8.
template <typename CodesOfSubBlock, typename ScalesOfBlock, int kSubBlocksOfBlock, int kZeroCode,
          int kDigitsOfActivations = 1>
struct QuantizedLayout {
  static constexpr bool kIsQuantized = true;
  static constexpr bool kIsExpanded = false;
  static constexpr int kDigits = kDigitsOfActivations;
  static_assert(kDigits == 1 ||
                (kDigits == 2 && ScalesOfBlock::kPerSubBlock == 1 && ScalesOfBlock::kOffsets == 0));
  static constexpr int kSubBlocks = kSubBlocksOfBlock;  // of 32 columns
  static constexpr int kColumns = 32 * kSubBlocks;
  static constexpr int kZero = kZeroCode;
  static constexpr int kBits = CodesOfSubBlock::kBits;
  static constexpr bool kIsInOnePlane = CodesOfSubBlock::kIsInOnePlane;
  static constexpr int kScales = ScalesOfBlock::kPerSubBlock;
  static constexpr int kOffsets = ScalesOfBlock::kOffsets;
  using Scales = ScalesOfBlock;
  struct Block {
    CodesOfSubBlock codes[kSubBlocks];
    Scales scales;
  };
};

// The 32-bit words of a block of 16 rows' file blocks, in their order but for the block's F16
// scale.
template <int kWords, bool kHasScale>
struct PackedWords {
  uint32_t words[kWords][16];
  F16 scale[16];
};
template <int kWords>
struct PackedWords<kWords, false> {
  uint32_t words[kWords][16];
};

// Rows of a format of kernels/formats/expanded.h. Its codes take no more room here than in the
// file: they are expanded while they are read (expand_codes.h).
template <typename FormatOfRows>
struct ExpandedLayout {
  static constexpr bool kIsQuantized = true;
  static constexpr bool kIsExpanded = true;
  static constexpr int kDigits = 1;
  static constexpr int kSubBlocks = 8;
  static constexpr int kColumns = 256;
  static constexpr int kZero = FormatOfRows::kZero;
  static constexpr int kBits = FormatOfRows::kBits;
  static constexpr bool kIsInOnePlane = false;
  static constexpr int kScales = FormatOfRows::kScales;
  static constexpr int kOffsets = 0;
  using Format = FormatOfRows;
  using FileBlock = typename Format::Block;
  // The scale is the first or the last thing in the file's block, or there is none.
  static constexpr bool kHasScale = requires(FileBlock block) { block.scale; };
  static constexpr size_t kFirstWord = [] {
    if constexpr (kHasScale) return offsetof(FileBlock, scale) == 0 ? sizeof(F16) : size_t{0};
    return size_t{0};
  }();
  static constexpr int kWords = sizeof(FileBlock) / 4;  // of four bytes; the scale is apart
  using Block = PackedWords<kWords, kHasScale>;
};

// Rows of floating-point weights: the 16 values of one column.
template <typename ElementOfRow>
struct FloatLayout {
  static constexpr bool kIsQuantized = false;
  static constexpr int kDigits = 1;
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
struct PackLayout<Q4_0> : QuantizedLayout<PackedCodes<4>, PackedScales, 1, Q4_0::kZero> {};
template <>
struct PackLayout<Q4_1> : QuantizedLayout<PackedCodes<4>, PackedScalesAndOffsets, 1, 0> {};
template <>
struct PackLayout<Q5_0> : QuantizedLayout<PackedCodes<5>, PackedScales, 1, Q5_0::kZero> {};
template <>
struct PackLayout<Q5_1> : QuantizedLayout<PackedCodes<5>, PackedScalesAndOffsets, 1, 0> {};
template <>
struct PackLayout<Q8_0> : QuantizedLayout<PackedCodes<8>, PackedScales, 1, Q8_0::kZero> {};
template <>
struct PackLayout<Q2_K> : QuantizedLayout<PackedCodes<2>, PackedHalfScalesAndMins, 8, 0> {};
template <>
struct PackLayout<Q3_K> : QuantizedLayout<PackedCodes<3>, PackedSixBitHalfScales, 8, Q3_K::kZero> {
};
template <>
struct PackLayout<Q4_K> : QuantizedLayout<PackedCodes<4>, PackedKScales, 8, 0> {};
template <>
struct PackLayout<Q5_K> : QuantizedLayout<PackedCodes<5>, PackedKScales, 8, 0> {};
template <>
struct PackLayout<Q6_K> : QuantizedLayout<PackedCodes<6>, PackedHalfScales, 8, Q6_K::kZero> {};
template <>
struct PackLayout<IQ2_XXS> : ExpandedLayout<IQ2_XXS> {};
template <>
struct PackLayout<IQ2_XS> : ExpandedLayout<IQ2_XS> {};
template <>
struct PackLayout<IQ2_S> : ExpandedLayout<IQ2_S> {};
template <>
struct PackLayout<IQ3_XXS> : ExpandedLayout<IQ3_XXS> {};
template <>
struct PackLayout<IQ3_S> : ExpandedLayout<IQ3_S> {};
template <>
struct PackLayout<IQ1_S> : ExpandedLayout<IQ1_S> {};
template <>
struct PackLayout<IQ1_M> : ExpandedLayout<IQ1_M> {};
template <>
struct PackLayout<TQ1_0> : ExpandedLayout<TQ1_0> {};
template <>
struct PackLayout<IQ4_NL>
    : QuantizedLayout<PackedIndices<Iq4Values, 8>, PackedScales, 1, Iq4Values::kZero, 2> {};
template <>
struct PackLayout<IQ4_XS>
    : QuantizedLayout<PackedIndices<Iq4Values, 8>, PackedSplitScales, 8, Iq4Values::kZero> {};
template <>
struct PackLayout<TQ2_0> : QuantizedLayout<PackedCodes<2>, PackedSharedScale, 8, TQ2_0::kZero> {};
template <>
struct PackLayout<MXFP4>
    : QuantizedLayout<PackedIndices<Mxfp4Values, 5>, PackedExponents, 1, Mxfp4Values::kZero> {};

// How far ahead of the codes in use a kernel fetches weights. `latency_bytes`: what it reads while
// memory answers. A block's scales lie behind its codes and are read first, so where a block holds
// several sub-blocks that far beyond the block.
template <typename Layout>
constexpr int64_t PrefetchBytes(int64_t latency_bytes) {
  if constexpr (Layout::kColumns > 32)
    latency_bytes += static_cast<int64_t>(sizeof(typename Layout::Block));
  return latency_bytes;
}

// Bytes of one group of 16 rows.
template <typename Format>
constexpr int64_t PackedGroupBytes(int64_t n_cols) {
  using Layout = PackLayout<Format>;
  static_assert(sizeof(typename Layout::Block) == kCpuPackRows * sizeof(typename Format::Block) *
                                                      Layout::kColumns / Format::kBlockElements);
  return n_cols / Layout::kColumns * static_cast<int64_t>(sizeof(typename Layout::Block));
}

}  // namespace forge
