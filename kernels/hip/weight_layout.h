#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/formats/formats.h"

namespace forge {

// How the HIP device keeps a row of weights. Rows follow each other; each is a few planes along the
// columns, so that the adjacent lanes of a wave, which take adjacent parts of 32 columns, load
// adjacent words:
//   codes    kCodeBytes for each part: the codes, or their low bits
//   upper    kUpperBytes for each part: the bits that codes of 3, 5 and 6 have above these
//   scales   kScaleBytes for each kScaleParts parts: what else the file's blocks hold
// Weights stay quantised, and a row is as large as in the file but for the end, which is filled up
// to 16 bytes. Formats that kernels/formats/expanded.h describes have one plane, the file's blocks.
//
// The codes of a part, column 0 of the part first:
//   2 bits   word h, of two: bits 8 i + 2 r and above are column 16 h + 4 r + i
//   4 bits   word q, of four: low nibble of byte i is column 4 q + i, high nibble 16 + 4 q + i
//   8 bits   word q, of eight: byte i is column 4 q + i, as a signed number
// and their upper bits:
//   1 bit    bit 8 i + q of the word is column 4 q + i
//   2 bits   as codes of 2 bits

// Values are scale * (code - kZero) + offset; kScales scales a part, and as many offsets if
// kHasOffsets.
template <int kBitsOfCode, int kZeroCode, int kScalesOfPart, bool kOffsets, int kBytesOfScales,
          int kPartsOfScales>
struct PlaneLayout {
  static constexpr bool kIsFloat = false;
  static constexpr bool kIsVerbatim = false;
  static constexpr int kBits = kBitsOfCode;
  static constexpr int kZero = kZeroCode;
  static constexpr int kScales = kScalesOfPart;
  static constexpr bool kHasOffsets = kOffsets;
  static constexpr int kDigits = 1;
  static constexpr int kLowBits = kBits == 3 ? 2 : kBits == 5 || kBits == 6 ? 4 : kBits;
  static constexpr int kCodeBytes = 4 * kLowBits;
  static constexpr int kUpperBytes = 4 * (kBits - kLowBits);
  static constexpr int kScaleBytes = kBytesOfScales;
  static constexpr int kScaleParts = kPartsOfScales;
  static_assert(kLowBits == 2 || kLowBits == 4 || kLowBits == 8);

  // Where the planes start, and where the row ends.
  static constexpr int64_t UpperStart(int64_t n_parts) { return kCodeBytes * n_parts; }
  static constexpr int64_t ScaleStart(int64_t n_parts) {
    return (kCodeBytes + kUpperBytes) * n_parts;
  }
  static constexpr int64_t UsedBytes(int64_t n_cols) {
    return ScaleStart(n_cols / 32) + n_cols / 32 / kScaleParts * kScaleBytes;
  }
};

// The file's blocks.
template <typename Format>
struct VerbatimLayout {
  static constexpr bool kIsFloat = false;
  static constexpr bool kIsVerbatim = true;
  static constexpr int kZero = Format::kZero;
  static constexpr int kScales = Format::kScales;
  static constexpr bool kHasOffsets = false;
  static constexpr int kDigits = 1;
  static constexpr int64_t UsedBytes(int64_t n_cols) {
    return n_cols / Format::kBlockElements * static_cast<int64_t>(sizeof(typename Format::Block));
  }
};

// Floating-point weights, as the file has them.
template <typename ElementOfRow>
struct FloatRowLayout {
  static constexpr bool kIsFloat = true;
  static constexpr bool kIsVerbatim = true;
  using Element = ElementOfRow;
  static constexpr int64_t UsedBytes(int64_t n_cols) {
    return n_cols * static_cast<int64_t>(sizeof(Element));
  }
};

// Where the codes are indices into a table, codes are what the table says less its zero.
template <typename Format>
struct RowLayout : VerbatimLayout<Format> {};
template <>
struct RowLayout<F32Format> : FloatRowLayout<float> {};
template <>
struct RowLayout<F16Format> : FloatRowLayout<F16> {};
template <>
struct RowLayout<Bf16Format> : FloatRowLayout<Bf16> {};
template <>
struct RowLayout<Q4_0> : PlaneLayout<4, Q4_0::kZero, 1, false, 2, 1> {};
template <>
struct RowLayout<Q4_1> : PlaneLayout<4, 0, 1, true, 4, 1> {};
template <>
struct RowLayout<Q5_0> : PlaneLayout<5, Q5_0::kZero, 1, false, 2, 1> {};
template <>
struct RowLayout<Q5_1> : PlaneLayout<5, 0, 1, true, 4, 1> {};
template <>
struct RowLayout<Q8_0> : PlaneLayout<8, 0, 1, false, 2, 1> {};
template <>
struct RowLayout<Q2_K> : PlaneLayout<2, 0, 2, true, 20, 8> {};
template <>
struct RowLayout<Q3_K> : PlaneLayout<3, Q3_K::kZero, 2, false, 14, 8> {};
template <>
struct RowLayout<Q4_K> : PlaneLayout<4, 0, 1, true, 16, 8> {};
template <>
struct RowLayout<Q5_K> : PlaneLayout<5, 0, 1, true, 16, 8> {};
template <>
struct RowLayout<Q6_K> : PlaneLayout<6, Q6_K::kZero, 2, false, 18, 8> {};
template <>
struct RowLayout<TQ2_0> : PlaneLayout<2, TQ2_0::kZero, 1, false, 2, 8> {};
template <>
struct RowLayout<IQ4_XS> : PlaneLayout<4, 0, 1, false, 8, 8> {};
template <>
struct RowLayout<MXFP4> : PlaneLayout<4, 0, 1, false, 1, 1> {};
// Two digits of the activations: see docs/cpu-matmul.md.
template <>
struct RowLayout<IQ4_NL> : PlaneLayout<4, 0, 1, false, 2, 1> {
  static constexpr int kDigits = 2;
};

// Bytes of a packed row.
template <typename Format>
constexpr int64_t PackedRowBytes(int64_t n_cols) {
  return (RowLayout<Format>::UsedBytes(n_cols) + 15) / 16 * 16;
}

}  // namespace forge
