#pragma once

#include <immintrin.h>

#include "kernels/cpu/expand_codes.h"
#include "kernels/cpu/pack_layout.h"

namespace forge {

// Reads the packed layout with AVX2, eight rows at a time: `rows` is 0 or 8. For files that are
// compiled for it and for nothing less: everything is always inlined, so that no other file can be
// linked to a copy from here.

// Eight rows' bytes of one plane; `rows` is 0 or 8.
[[gnu::always_inline]] inline __m256i Load(const uint8_t* plane, int rows) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane + 4 * rows));
}

[[gnu::always_inline]] inline __m256 LoadHalves(const F16* p, int rows) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + rows)));
}

// Quads 0-7 of eight rows as bytes; `nibbles` holds two quads in each vector.
[[gnu::always_inline]] inline void LoadNibbles(const uint8_t (&nibbles)[4][64], int rows,
                                               __m256i* codes) {
  const __m256i mask = _mm256_set1_epi8(15);
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m256i both = Load(nibbles[q], rows);
    codes[q] = _mm256_and_si256(both, mask);
    codes[q + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
  }
}

// low | (high & mask)
[[gnu::always_inline]] inline __m256i OrMasked(__m256i low, __m256i high, __m256i mask) {
  return _mm256_or_si256(low, _mm256_and_si256(high, mask));
}

// The low two bits of quads 0-7; each vector of `pairs` holds four quads.
[[gnu::always_inline]] inline void LoadPairs(const uint8_t (&pairs)[2][64], int rows,
                                             __m256i* codes) {
  const __m256i mask = _mm256_set1_epi8(3);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m256i bits = Load(pairs[h], rows);
    codes[4 * h] = _mm256_and_si256(bits, mask);
    codes[4 * h + 1] = _mm256_and_si256(_mm256_srli_epi16(bits, 2), mask);
    codes[4 * h + 2] = _mm256_and_si256(_mm256_srli_epi16(bits, 4), mask);
    codes[4 * h + 3] = _mm256_and_si256(_mm256_srli_epi16(bits, 6), mask);
  }
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<2>& packed, int rows,
                                             __m256i* codes) {
  LoadPairs(packed.pairs, rows, codes);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<3>& packed, int rows,
                                             __m256i* codes) {
  LoadPairs(packed.pairs, rows, codes);
  const __m256i bits = Load(packed.third_bits, rows);
  const __m256i mask = _mm256_set1_epi8(4);
  codes[0] = OrMasked(codes[0], _mm256_slli_epi16(bits, 2), mask);
  codes[1] = OrMasked(codes[1], _mm256_slli_epi16(bits, 1), mask);
  codes[2] = OrMasked(codes[2], bits, mask);
  codes[3] = OrMasked(codes[3], _mm256_srli_epi16(bits, 1), mask);
  codes[4] = OrMasked(codes[4], _mm256_srli_epi16(bits, 2), mask);
  codes[5] = OrMasked(codes[5], _mm256_srli_epi16(bits, 3), mask);
  codes[6] = OrMasked(codes[6], _mm256_srli_epi16(bits, 4), mask);
  codes[7] = OrMasked(codes[7], _mm256_srli_epi16(bits, 5), mask);
}

[[gnu::always_inline]] inline __m256i LoadTable(const void* table) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(table)));
}

template <typename Table, int kBits>
[[gnu::always_inline]] inline void LoadCodes(const PackedIndices<Table, kBits>& packed, int rows,
                                             __m256i* codes) {
  const __m256i table = LoadTable(&Table::kCodes);
  LoadNibbles(packed.nibbles, rows, codes);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) codes[q] = _mm256_shuffle_epi8(table, codes[q]);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<4>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<5>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
  const __m256i bits = Load(packed.fifth_bits, rows);
  const __m256i mask = _mm256_set1_epi8(16);
  codes[0] = OrMasked(codes[0], _mm256_slli_epi16(bits, 4), mask);
  codes[1] = OrMasked(codes[1], _mm256_slli_epi16(bits, 3), mask);
  codes[2] = OrMasked(codes[2], _mm256_slli_epi16(bits, 2), mask);
  codes[3] = OrMasked(codes[3], _mm256_slli_epi16(bits, 1), mask);
  codes[4] = OrMasked(codes[4], bits, mask);
  codes[5] = OrMasked(codes[5], _mm256_srli_epi16(bits, 1), mask);
  codes[6] = OrMasked(codes[6], _mm256_srli_epi16(bits, 2), mask);
  codes[7] = OrMasked(codes[7], _mm256_srli_epi16(bits, 3), mask);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<6>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
  const __m256i mask = _mm256_set1_epi8(0x30);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m256i bits = Load(packed.upper_bits[h], rows);
    __m256i* half = codes + 4 * h;
    half[0] = OrMasked(half[0], _mm256_slli_epi16(bits, 4), mask);
    half[1] = OrMasked(half[1], _mm256_slli_epi16(bits, 2), mask);
    half[2] = OrMasked(half[2], bits, mask);
    half[3] = OrMasked(half[3], _mm256_srli_epi16(bits, 2), mask);
  }
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<8>& packed, int rows,
                                             __m256i* codes) {
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) codes[q] = Load(packed.bytes[q], rows);
}

// The scales and offsets of all sub-blocks of a block, a vector of eight rows each.
[[gnu::always_inline]] inline void LoadScales(const PackedScales& packed, int rows, __m256* scale,
                                              __m256*) {
  scale[0] = LoadHalves(packed.scale, rows);
}

[[gnu::always_inline]] inline void LoadScales(const PackedScalesAndOffsets& packed, int rows,
                                              __m256* scale, __m256* offset) {
  scale[0] = LoadHalves(packed.scale, rows);
  offset[0] = LoadHalves(packed.offset, rows);
}

[[gnu::always_inline]] inline void LoadScales(const PackedExponents& packed, int rows,
                                              __m256* scale, __m256*) {
  const __m256i exponent = _mm256_cvtepu8_epi32(
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed.exponent + rows)));
  const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(exponent, _mm256_set1_epi32(1)), 23);
  const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponent);
  const __m256i is_subnormal = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponent);
  scale[0] = _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, is_subnormal));
}

[[gnu::always_inline]] inline void LoadScales(const PackedSharedScale& packed, int rows,
                                              __m256* scale, __m256*) {
  const __m256 shared = LoadHalves(packed.scale, rows);
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) scale[s] = shared;
}

[[gnu::always_inline]] inline void LoadScales(const PackedSplitScales& packed, int rows,
                                              __m256* scale, __m256*) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(packed.low + rows));
  const __m256i high =
      _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed.high + rows)));
  const __m256 super_scale = LoadHalves(packed.scale, rows);
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) {
    const __m256i low_bits =
        _mm256_and_si256(_mm256_srl_epi32(low, _mm_cvtsi32_si128(4 * s)), _mm256_set1_epi32(15));
    const __m256i high_bits = _mm256_slli_epi32(
        _mm256_and_si256(_mm256_srl_epi32(high, _mm_cvtsi32_si128(2 * s)), _mm256_set1_epi32(3)),
        4);
    const __m256i factor =
        _mm256_sub_epi32(_mm256_or_si256(low_bits, high_bits), _mm256_set1_epi32(32));
    scale[s] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(factor));
  }
}

// The sixteen six-bit values of eight rows; see PackedKScales.
[[gnu::always_inline]] inline void LoadSixBits(const uint32_t (&six_bit)[3][16], int rows,
                                               __m256i* values) {
  const __m256i mask = _mm256_set1_epi32(63);
  __m256i words[3];
#pragma GCC unroll 3
  for (int w = 0; w < 3; ++w)
    words[w] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(six_bit[w] + rows));
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const __m128i count = _mm_cvtsi32_si128(6 * (i % 5));
    values[i] = _mm256_and_si256(_mm256_srl_epi32(words[i / 5], count), mask);
  }
  const __m256i low = _mm256_srli_epi32(words[0], 30);
  const __m256i middle = _mm256_slli_epi32(_mm256_srli_epi32(words[1], 30), 2);
  const __m256i high = _mm256_slli_epi32(_mm256_srli_epi32(words[2], 30), 4);
  values[15] = _mm256_or_si256(_mm256_or_si256(low, middle), high);
}

[[gnu::always_inline]] inline void LoadScales(const PackedKScales& packed, int rows, __m256* scale,
                                              __m256* offset) {
  __m256i values[16];
  LoadSixBits(packed.six_bit, rows, values);
  const __m256 super_scale = LoadHalves(packed.scale, rows);
  const __m256 super_offset = _mm256_sub_ps(_mm256_setzero_ps(), LoadHalves(packed.min, rows));
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) {
    scale[s] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(values[s]));
    offset[s] = _mm256_mul_ps(super_offset, _mm256_cvtepi32_ps(values[8 + s]));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScales& packed, int rows,
                                              __m256* scale, __m256*) {
  const __m256 super_scale = LoadHalves(packed.scale, rows);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m128i sub = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed.sub[i] + rows));
    scale[i] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(sub)));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedSixBitHalfScales& packed, int rows,
                                              __m256* scale, __m256*) {
  __m256i values[16];
  LoadSixBits(packed.six_bit, rows, values);
  const __m256 super_scale = LoadHalves(packed.scale, rows);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m256i factor = _mm256_sub_epi32(values[i], _mm256_set1_epi32(32));
    scale[i] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(factor));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScalesAndMins& packed, int rows,
                                              __m256* scale, __m256* offset) {
  const __m256 super_scale = LoadHalves(packed.scale, rows);
  const __m256 super_offset = _mm256_sub_ps(_mm256_setzero_ps(), LoadHalves(packed.min, rows));
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m256i sub = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed.sub[i] + rows)));
    const __m256i factor = _mm256_and_si256(sub, _mm256_set1_epi32(15));
    scale[i] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(factor));
    offset[i] = _mm256_mul_ps(super_offset, _mm256_cvtepi32_ps(_mm256_srli_epi32(sub, 4)));
  }
}

// Eight rows in 32-bit lanes, for expand_codes.h.
struct RowsAvx2 {
  using Words = __m256i;
  using Floats = __m256;

  [[gnu::always_inline]] static Words Load(const uint32_t* words) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
  }
  [[gnu::always_inline]] static Floats LoadScale(const F16* scale) { return LoadHalves(scale, 0); }
  [[gnu::always_inline]] static Words Set(uint32_t value) {
    return _mm256_set1_epi32(static_cast<int>(value));
  }
  [[gnu::always_inline]] static Words And(Words a, uint32_t b) {
    return _mm256_and_si256(a, Set(b));
  }
  [[gnu::always_inline]] static Words Or(Words a, Words b) { return _mm256_or_si256(a, b); }
  [[gnu::always_inline]] static Words Xor(Words a, Words b) { return _mm256_xor_si256(a, b); }
  [[gnu::always_inline]] static Words Right(Words a, int n) {
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n));
  }
  [[gnu::always_inline]] static Words Left(Words a, int n) {
    return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n));
  }
  [[gnu::always_inline]] static Words AddBytes(Words a, Words b) { return _mm256_add_epi8(a, b); }
  // All ones in the lanes whose bit `n` is set.
  [[gnu::always_inline]] static Words MaskOfBit(Words a, int n) {
    return _mm256_srai_epi32(Left(a, 31 - n), 31);
  }
  [[gnu::always_inline]] static Floats Scale(Floats scale, Words factor) {
    return _mm256_mul_ps(scale, _mm256_cvtepi32_ps(factor));
  }
  [[gnu::always_inline]] static Floats Scale(Floats scale, float factor) {
    return _mm256_mul_ps(scale, _mm256_set1_ps(factor));
  }
  // The F16 in the low half of each lane.
  [[gnu::always_inline]] static Floats HalvesToFloats(Words a) {
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, a), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
  }
  // table[a & 15] for each byte.
  [[gnu::always_inline]] static Words Lookup(const uint8_t (&table)[16], Words a) {
    return _mm256_shuffle_epi8(LoadTable(table), And(a, 0x0f0f0f0fu));
  }
  // 3 * (byte * power mod 256) / 256 of each byte: 0, 1 or 2. The byte times power goes to the
  // upper half of 16 bits; what three times that has above 16 bits is the trit.
  [[gnu::always_inline]] static Words Trits(Words a, int power) {
    const __m256i upper = _mm256_set1_epi16(static_cast<int16_t>(0xff00));
    const __m256i odd = _mm256_mullo_epi16(_mm256_and_si256(a, upper),
                                           _mm256_set1_epi16(static_cast<int16_t>(power)));
    const __m256i even = _mm256_mullo_epi16(a, _mm256_set1_epi16(static_cast<int16_t>(power << 8)));
    return _mm256_or_si256(
        _mm256_mulhi_epu16(even, _mm256_set1_epi16(3)),
        _mm256_and_si256(_mm256_mulhi_epu16(odd, _mm256_set1_epi16(3 << 8)), upper));
  }
  // Indices, two a piece, for loads one by one. These beat the gather instruction, which is
  // microcode on many processors, and indices stored and loaded again: on two cores of the Zen 3
  // generation IQ2_XS takes two thirds of the time of gathers for one token.
  struct Indices {
    uint64_t pairs[4];
    [[gnu::always_inline]] explicit Indices(Words index)
        : pairs{static_cast<uint64_t>(_mm256_extract_epi64(index, 0)),
                static_cast<uint64_t>(_mm256_extract_epi64(index, 1)),
                static_cast<uint64_t>(_mm256_extract_epi64(index, 2)),
                static_cast<uint64_t>(_mm256_extract_epi64(index, 3))} {}
    [[gnu::always_inline]] size_t operator[](int row) const {
      return row % 2 == 0 ? static_cast<uint32_t>(pairs[row / 2]) : pairs[row / 2] >> 32;
    }
  };
  // Entries of four bytes.
  [[gnu::always_inline]] static Words GatherQuad(const void* entries, Words index) {
    const auto* table = static_cast<const int*>(entries);
    const Indices at(index);
    return _mm256_setr_epi32(table[at[0]], table[at[1]], table[at[2]], table[at[3]], table[at[4]],
                             table[at[5]], table[at[6]], table[at[7]]);
  }
  // Entries of eight bytes: the first four and the last four.
  [[gnu::always_inline]] static void GatherQuads(const void* entries, Words index, Words* quads) {
    const auto* table = static_cast<const __m64*>(entries);
    const Indices at(index);
    const auto two = [&](int row) {
      const __m128 first = _mm_loadl_pi(_mm_setzero_ps(), &table[at[row]]);
      return _mm_loadh_pi(first, &table[at[row + 1]]);
    };
    const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(two(0)), two(4), 1);
    const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(two(2)), two(6), 1);
    quads[0] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    quads[1] = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
  }
  // The quads of the entries whose indices are in the low and in the high halves of `indices`.
  template <size_t kElements, size_t kEntries>
  [[gnu::always_inline]] static void LookUp(const Codebook<kElements, kEntries>& book,
                                            const CodebookWords<kElements, kEntries>& /*words*/,
                                            Words indices, Words* quads) {
    const Words halves[2] = {And(indices, 0xffffu), Right(indices, 16)};
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      if constexpr (kElements == 8) {
        GatherQuads(&book, halves[i], quads + 2 * i);
      } else {
        quads[i] = GatherQuad(&book, halves[i]);
      }
    }
  }
  // All ones in the bytes that are negative: those whose bit in `bits` is set in byte `byte` of the
  // lane's signs.
  [[gnu::always_inline]] static Words IsNegative(Words signs, int byte, uint32_t bits) {
    const __m256i lanes =
        _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    const __m256i control = _mm256_or_si256(lanes, _mm256_set1_epi8(static_cast<char>(byte)));
    const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(signs, control), Set(bits));
    return _mm256_cmpeq_epi8(spread, Set(bits));
  }
};

// Takes what ExpandCodes gives as codes, ...
struct QuadsAvx2 {
  __m256i* codes;

  [[gnu::always_inline]] void Put(int q, __m256i quad) { codes[q] = quad; }
  template <int kZero>
  [[gnu::always_inline]] void PutSigned(int q, __m256i magnitudes, __m256i signs, int byte,
                                        uint32_t bits) {
    const __m256i is_negative = RowsAvx2::IsNegative(signs, byte, bits);
    const __m256i zero = _mm256_sub_epi8(_mm256_set1_epi8(kZero), is_negative);
    codes[q] = _mm256_add_epi8(_mm256_xor_si256(magnitudes, is_negative), zero);
  }
};

// ... or as magnitudes and bytes with their signs, 1 or -1.
struct SignedQuadsAvx2 {
  __m256i* magnitudes;
  __m256i* signs;

  template <int kZero>
  [[gnu::always_inline]] void PutSigned(int q, __m256i quad, __m256i sign_bits, int byte,
                                        uint32_t bits) {
    magnitudes[q] = quad;
    signs[q] = _mm256_or_si256(RowsAvx2::IsNegative(sign_bits, byte, bits), _mm256_set1_epi8(1));
  }
};

// The codes of sub-block s of eight rows, quad by quad.
template <typename Layout>
[[gnu::always_inline]] inline void LoadSubBlock(const typename Layout::Block& block, int64_t s,
                                                int rows, __m256i* codes) {
  if constexpr (Layout::kIsExpanded) {
    QuadsAvx2 quads{codes};
    ExpandCodes<RowsAvx2, Layout>::Codes(block, s, rows, quads);
  } else {
    LoadCodes(block.codes[s], rows, codes);
  }
}

// The magnitudes and the values themselves of codes kZero above their value.
template <int kZero, typename Packed>
[[gnu::always_inline]] inline void LoadSignedCodes(const Packed& packed, int rows,
                                                   __m256i* magnitudes, __m256i* values) {
  LoadCodes(packed, rows, magnitudes);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
    values[q] = _mm256_sub_epi8(magnitudes[q], _mm256_set1_epi8(static_cast<char>(kZero)));
    magnitudes[q] = _mm256_abs_epi8(values[q]);
  }
}

template <int kZero, typename Table, int kBits>
[[gnu::always_inline]] inline void LoadSignedCodes(const PackedIndices<Table, kBits>& packed,
                                                   int rows, __m256i* magnitudes, __m256i* values) {
  const __m256i table =
      _mm256_sub_epi8(LoadTable(&Table::kCodes), _mm256_set1_epi8(static_cast<char>(kZero)));
  const __m256i magnitude_table = _mm256_abs_epi8(table);
  LoadNibbles(packed.nibbles, rows, magnitudes);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
    values[q] = _mm256_shuffle_epi8(table, magnitudes[q]);
    magnitudes[q] = _mm256_shuffle_epi8(magnitude_table, magnitudes[q]);
  }
}

// The codes of sub-block s of eight rows as magnitudes, and bytes with their signs: 1 or -1, or the
// values themselves.
template <typename Layout>
[[gnu::always_inline]] inline void LoadSignedSubBlock(const typename Layout::Block& block,
                                                      int64_t s, int rows, __m256i* magnitudes,
                                                      __m256i* signs) {
  if constexpr (Layout::kIsExpanded) {
    SignedQuadsAvx2 quads{magnitudes, signs};
    ExpandCodes<RowsAvx2, Layout>::Codes(block, s, rows, quads);
  } else {
    LoadSignedCodes<Layout::kZero>(block.codes[s], rows, magnitudes, signs);
  }
}

// The scales and offsets of all sub-blocks of a block, a vector of eight rows each.
template <typename Layout>
[[gnu::always_inline]] inline void LoadAllScales(const typename Layout::Block& block, int rows,
                                                 __m256* scale, __m256* offset) {
  if constexpr (Layout::kIsExpanded) {
    ExpandCodes<RowsAvx2, Layout>::Scales(block, rows, scale);
  } else {
    LoadScales(block.scales, rows, scale, offset);
  }
}

}  // namespace forge
