#pragma once

#include <immintrin.h>

#include <utility>

#include "kernels/cpu/expand_codes.h"
#include "kernels/cpu/pack_layout.h"

namespace forge {

// Reads the packed layout with AVX-512. For files that are compiled for it and for nothing less:
// everything is always inlined, so that no other file can be linked to a copy from here.

[[gnu::always_inline]] inline __m512i Load(const uint8_t* p) { return _mm512_loadu_si512(p); }

[[gnu::always_inline]] inline __m512 LoadHalves(const F16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

[[gnu::always_inline]] inline __m512 BroadcastAsFloat(int32_t value) {
  return _mm512_cvtepi32_ps(_mm512_set1_epi32(value));
}

// `v` with its 16-bit lanes shifted to the left, or to the right by -kLeft.
template <int kLeft>
[[gnu::always_inline]] inline __m512i ShiftBits(__m512i v) {
  if constexpr (kLeft > 0) {
    return _mm512_slli_epi16(v, kLeft);
  } else if constexpr (kLeft < 0) {
    return _mm512_srli_epi16(v, -kLeft);
  } else {
    return v;
  }
}

// low | (high & mask)
[[gnu::always_inline]] inline __m512i OrMasked(__m512i low, __m512i high, __m512i mask) {
  return _mm512_ternarylogic_epi32(low, high, mask, 0xf8);
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadNibble(const uint8_t (&nibbles)[4][64]) {
  constexpr int kLeft = kQuad < 4 ? 0 : -4;
  return _mm512_and_si512(ShiftBits<kLeft>(Load(nibbles[kQuad % 4])), _mm512_set1_epi8(15));
}

// The low two bits.
template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadPair(const uint8_t (&pairs)[2][64]) {
  const __m512i shifted = ShiftBits<-2 * (kQuad % 4)>(Load(pairs[kQuad / 4]));
  return _mm512_and_si512(shifted, _mm512_set1_epi8(3));
}

// LoadQuad: the codes of quad kQuad of 16 rows as bytes.
template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<2>& packed) {
  return LoadPair<kQuad>(packed.pairs);
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<3>& packed) {
  return OrMasked(LoadPair<kQuad>(packed.pairs), ShiftBits<2 - kQuad>(Load(packed.third_bits)),
                  _mm512_set1_epi8(4));
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<4>& packed) {
  return LoadNibble<kQuad>(packed.nibbles);
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<5>& packed) {
  return OrMasked(LoadNibble<kQuad>(packed.nibbles), ShiftBits<4 - kQuad>(Load(packed.fifth_bits)),
                  _mm512_set1_epi8(16));
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<6>& packed) {
  return OrMasked(LoadNibble<kQuad>(packed.nibbles),
                  ShiftBits<4 - 2 * (kQuad % 4)>(Load(packed.upper_bits[kQuad / 4])),
                  _mm512_set1_epi8(0x30));
}

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedCodes<8>& packed) {
  return Load(packed.bytes[kQuad]);
}

template <int kQuad, typename Table, int kBits>
[[gnu::always_inline]] inline __m512i LoadQuad(const PackedIndices<Table, kBits>& packed) {
  const __m512i table =
      _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&Table::kCodes)));
  return _mm512_shuffle_epi8(table, LoadNibble<kQuad>(packed.nibbles));
}

// The scales and offsets of all sub-blocks of a block, a vector of 16 rows each.
[[gnu::always_inline]] inline void LoadScales(const PackedScales& packed, __m512* scale, __m512*) {
  scale[0] = LoadHalves(packed.scale);
}

[[gnu::always_inline]] inline void LoadScales(const PackedScalesAndOffsets& packed, __m512* scale,
                                              __m512* offset) {
  scale[0] = LoadHalves(packed.scale);
  offset[0] = LoadHalves(packed.offset);
}

[[gnu::always_inline]] inline void LoadScales(const PackedExponents& packed, __m512* scale,
                                              __m512*) {
  const __m512i exponent =
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed.exponent)));
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(exponent, _mm512_set1_epi32(1)), 23);
  const __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponent);
  const __mmask16 is_subnormal = _mm512_cmplt_epu32_mask(exponent, _mm512_set1_epi32(2));
  scale[0] = _mm512_castsi512_ps(_mm512_mask_mov_epi32(normal, is_subnormal, subnormal));
}

[[gnu::always_inline]] inline void LoadScales(const PackedSharedScale& packed, __m512* scale,
                                              __m512*) {
  const __m512 shared = LoadHalves(packed.scale);
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) scale[s] = shared;
}

[[gnu::always_inline]] inline void LoadScales(const PackedSplitScales& packed, __m512* scale,
                                              __m512*) {
  const __m512i low = _mm512_loadu_si512(packed.low);
  const __m512i high =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(packed.high)));
  const __m512 super_scale = LoadHalves(packed.scale);
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) {
    const __m512i low_bits =
        _mm512_and_si512(_mm512_srl_epi32(low, _mm_cvtsi32_si128(4 * s)), _mm512_set1_epi32(15));
    const __m512i high_bits = _mm512_slli_epi32(
        _mm512_and_si512(_mm512_srl_epi32(high, _mm_cvtsi32_si128(2 * s)), _mm512_set1_epi32(3)),
        4);
    const __m512i factor =
        _mm512_sub_epi32(_mm512_or_si512(low_bits, high_bits), _mm512_set1_epi32(32));
    scale[s] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(factor));
  }
}

// The sixteen six-bit values of 16 rows; see PackedKScales.
[[gnu::always_inline]] inline void LoadSixBits(const uint32_t (&six_bit)[3][16], __m512i* values) {
  const __m512i mask = _mm512_set1_epi32(63);
  const __m512i words[3] = {_mm512_loadu_si512(six_bit[0]), _mm512_loadu_si512(six_bit[1]),
                            _mm512_loadu_si512(six_bit[2])};
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const __m128i count = _mm_cvtsi32_si128(6 * (i % 5));
    values[i] = _mm512_and_si512(_mm512_srl_epi32(words[i / 5], count), mask);
  }
  const __m512i low = _mm512_srli_epi32(words[0], 30);
  const __m512i middle = _mm512_slli_epi32(_mm512_srli_epi32(words[1], 30), 2);
  const __m512i high = _mm512_slli_epi32(_mm512_srli_epi32(words[2], 30), 4);
  values[15] = _mm512_or_si512(_mm512_or_si512(low, middle), high);
}

[[gnu::always_inline]] inline void LoadScales(const PackedKScales& packed, __m512* scale,
                                              __m512* offset) {
  __m512i values[16];
  LoadSixBits(packed.six_bit, values);
  const __m512 super_scale = LoadHalves(packed.scale);
  const __m512 super_offset = _mm512_sub_ps(_mm512_setzero_ps(), LoadHalves(packed.min));
#pragma GCC unroll 8
  for (int s = 0; s < 8; ++s) {
    scale[s] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(values[s]));
    offset[s] = _mm512_mul_ps(super_offset, _mm512_cvtepi32_ps(values[8 + s]));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScales& packed, __m512* scale,
                                              __m512*) {
  const __m512 super_scale = LoadHalves(packed.scale);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m128i sub = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed.sub[i]));
    scale[i] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sub)));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedSixBitHalfScales& packed, __m512* scale,
                                              __m512*) {
  __m512i values[16];
  LoadSixBits(packed.six_bit, values);
  const __m512 super_scale = LoadHalves(packed.scale);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m512i factor = _mm512_sub_epi32(values[i], _mm512_set1_epi32(32));
    scale[i] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(factor));
  }
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScalesAndMins& packed, __m512* scale,
                                              __m512* offset) {
  const __m512 super_scale = LoadHalves(packed.scale);
  const __m512 super_offset = _mm512_sub_ps(_mm512_setzero_ps(), LoadHalves(packed.min));
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m512i sub =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed.sub[i])));
    const __m512i factor = _mm512_and_si512(sub, _mm512_set1_epi32(15));
    scale[i] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(factor));
    offset[i] = _mm512_mul_ps(super_offset, _mm512_cvtepi32_ps(_mm512_srli_epi32(sub, 4)));
  }
}

// 16 rows in 32-bit lanes, for expand_codes.h.
struct RowsAvx512 {
  using Words = __m512i;
  using Floats = __m512;

  [[gnu::always_inline]] static Words Load(const uint32_t* words) {
    return _mm512_loadu_si512(words);
  }
  [[gnu::always_inline]] static Floats LoadScale(const F16* scale) { return LoadHalves(scale); }
  [[gnu::always_inline]] static Words Set(uint32_t value) {
    return _mm512_set1_epi32(static_cast<int>(value));
  }
  [[gnu::always_inline]] static Words And(Words a, uint32_t b) {
    return _mm512_and_si512(a, Set(b));
  }
  [[gnu::always_inline]] static Words Or(Words a, Words b) { return _mm512_or_si512(a, b); }
  [[gnu::always_inline]] static Words Xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  [[gnu::always_inline]] static Words Right(Words a, int n) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
  }
  [[gnu::always_inline]] static Words Left(Words a, int n) {
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
  }
  [[gnu::always_inline]] static Words AddBytes(Words a, Words b) { return _mm512_add_epi8(a, b); }
  // All ones in the lanes whose bit `n` is set.
  [[gnu::always_inline]] static Words MaskOfBit(Words a, int n) {
    return _mm512_srai_epi32(Left(a, 31 - n), 31);
  }
  [[gnu::always_inline]] static Floats Scale(Floats scale, Words factor) {
    return _mm512_mul_ps(scale, _mm512_cvtepi32_ps(factor));
  }
  [[gnu::always_inline]] static Floats Scale(Floats scale, float factor) {
    return _mm512_mul_ps(scale, _mm512_set1_ps(factor));
  }
  // The F16 in the low half of each lane.
  [[gnu::always_inline]] static Floats HalvesToFloats(Words a) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a));
  }
  // table[a & 15] for each byte.
  [[gnu::always_inline]] static Words Lookup(const uint8_t (&table)[16], Words a) {
    const __m128i lane = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(lane), And(a, 0x0f0f0f0fu));
  }
  // 3 * (byte * power mod 256) / 256 of each byte: 0, 1 or 2. The byte times power goes to the
  // upper half of 16 bits; what three times that has above 16 bits is the trit.
  [[gnu::always_inline]] static Words Trits(Words a, int power) {
    const __m512i upper = _mm512_set1_epi16(static_cast<int16_t>(0xff00));
    const __m512i odd = _mm512_mullo_epi16(_mm512_and_si512(a, upper),
                                           _mm512_set1_epi16(static_cast<int16_t>(power)));
    const __m512i even = _mm512_mullo_epi16(a, _mm512_set1_epi16(static_cast<int16_t>(power << 8)));
    return _mm512_or_si512(
        _mm512_mulhi_epu16(even, _mm512_set1_epi16(3)),
        _mm512_and_si512(_mm512_mulhi_epu16(odd, _mm512_set1_epi16(3 << 8)), upper));
  }
  // The lanes of a vector as indices of a table, which are loaded one by one: gather instructions
  // take longer.
  struct Indices {
    alignas(64) uint32_t at[16];
    [[gnu::always_inline]] explicit Indices(Words index) { _mm512_store_si512(at, index); }
    [[gnu::always_inline]] uint32_t operator[](int row) const { return at[row]; }
  };
  // Entries of eight bytes: the first four and the last four.
  [[gnu::always_inline]] static void GatherQuads(const void* entries, Words index, Words* quads) {
    const auto* table = static_cast<const __m64*>(entries);
    const Indices at(index);
    const auto two = [&](int row) __attribute__((always_inline)) {
      const __m128 first = _mm_loadl_pi(_mm_setzero_ps(), &table[at[row]]);
      return _mm_castps_si128(_mm_loadh_pi(first, &table[at[row + 1]]));
    };
    const __m512 low = _mm512_castsi512_ps(Join(two(0), two(4), two(8), two(12)));
    const __m512 high = _mm512_castsi512_ps(Join(two(2), two(6), two(10), two(14)));
    quads[0] = _mm512_castps_si512(_mm512_shuffle_ps(low, high, 0x88));
    quads[1] = _mm512_castps_si512(_mm512_shuffle_ps(low, high, 0xdd));
  }
  [[gnu::always_inline]] static Words Join(__m128i a, __m128i b, __m128i c, __m128i d) {
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }
  // table[index] of 32 indices in 16 bits each: permutations look up 64 words, and the upper bits
  // of the index choose among what they found.
  template <size_t kEntries>
  [[gnu::always_inline]] static Words LookUpWords(const uint16_t* table, Words indices) {
    const auto load = [&](size_t i) __attribute__((always_inline)) {
      return _mm512_load_si512(table + i);
    };
    if constexpr (kEntries == 64) {
      return _mm512_permutex2var_epi16(load(0), indices, load(32));
    } else {
      constexpr size_t kHalf = kEntries / 2;
      const __mmask32 is_upper = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(kHalf));
      return _mm512_mask_blend_epi16(is_upper, LookUpWords<kHalf>(table, indices),
                                     LookUpWords<kHalf>(table + kHalf, indices));
    }
  }
  // The quads of the entries whose indices are in the low and in the high halves of `indices`.
  //
  // Of eight elements: the word of an entry has a byte for each quad and two bits for each element.
  // Bits 0-1 and 2-3 of the byte, left where they are, are indices of one table of levels; so are
  // bits 4-7, shifted right by four, for the last two elements.
  template <size_t kEntries>
  [[gnu::always_inline]] static void LookUp(const Codebook<8, kEntries>& /*book*/,
                                            const CodebookWords<8, kEntries>& book, Words indices,
                                            Words* quads) {
    const __m512i words = LookUpWords<kEntries>(book.words, indices);
    const __m512i shifted = _mm512_srli_epi16(words, 4);
    const auto& v = book.levels;
    const __m512i levels = _mm512_broadcast_i32x4(
        _mm_setr_epi8(v[0], v[1], v[2], 0, v[1], 0, 0, 0, v[2], 0, 0, 0, 0, 0, 0, 0));
    const __m512i lanes = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i control = _mm512_or_si512(lanes, _mm512_set1_epi8(static_cast<char>(i)));
      const __m512i bytes = _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(words, control),
                                                     0xcccccccccccccccc, shifted, control);
      quads[i] = _mm512_shuffle_epi8(levels, And(bytes, 0x0c030c03u));
    }
  }
  // Of four elements: the word of an entry has four bits for each, the highest of them zero. A byte
  // shuffle ignores the bits of the other element in the byte.
  template <size_t kEntries>
  [[gnu::always_inline]] static void LookUp(const Codebook<4, kEntries>& /*book*/,
                                            const CodebookWords<4, kEntries>& book, Words indices,
                                            Words* quads) {
    const __m512i words = LookUpWords<kEntries>(book.words, indices);
    const __m512i shifted = _mm512_srli_epi16(words, 4);
    const __m512i levels =
        _mm512_broadcast_i32x4(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(book.levels)));
    const __m512i lanes = _mm512_set4_epi32(0x0d0d0c0c, 0x09090808, 0x05050404, 0x01010000);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m512i control = _mm512_or_si512(lanes, _mm512_set1_epi8(static_cast<char>(2 * i)));
      const __m512i bytes = _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(words, control),
                                                     0xaaaaaaaaaaaaaaaa, shifted, control);
      quads[i] = _mm512_shuffle_epi8(levels, bytes);
    }
  }
  // zero + quad, or zero - quad where the sign is set: those of the lane's bytes are the bits
  // `bits` (a bit for each byte) of its byte `byte`.
  [[gnu::always_inline]] static Words Signed(Words quad, Words signs, int byte, uint32_t bits,
                                             int zero) {
    const __m512i lanes = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const __m512i control = _mm512_or_si512(lanes, _mm512_set1_epi8(static_cast<char>(byte)));
    const __m512i spread = _mm512_shuffle_epi8(signs, control);
    const __mmask64 is_negative = _mm512_test_epi8_mask(spread, Set(bits));
    const __m512i zeros = _mm512_set1_epi8(static_cast<char>(zero));
    return _mm512_mask_sub_epi8(_mm512_add_epi8(zeros, quad), is_negative, zeros, quad);
  }
};

// Takes what ExpandCodes gives.
struct QuadsAvx512 {
  __m512i* codes;

  [[gnu::always_inline]] void Put(int q, __m512i quad) { codes[q] = quad; }
  template <int kZero>
  [[gnu::always_inline]] void PutSigned(int q, __m512i magnitudes, __m512i signs, int byte,
                                        uint32_t bits) {
    codes[q] = RowsAvx512::Signed(magnitudes, signs, byte, bits, kZero);
  }
};

// The codes of 16 rows x 32 columns, unpacked.
struct UnpackedCodes {
  __m512i quads[8];
};

template <int kQuad>
[[gnu::always_inline]] inline __m512i LoadQuad(const UnpackedCodes& codes) {
  return codes.quads[kQuad];
}

// The codes of sub-block s of 16 rows, quad by quad.
template <typename Layout>
[[gnu::always_inline]] inline void LoadSubBlock(const typename Layout::Block& block, int64_t s,
                                                __m512i* codes) {
  if constexpr (Layout::kIsExpanded) {
    QuadsAvx512 quads{codes};
    ExpandCodes<RowsAvx512, Layout>::Codes(block, s, 0, quads);
  } else {
    [&]<int... kQuad>(std::integer_sequence<int, kQuad...>) __attribute__((always_inline)) {
      ((codes[kQuad] = LoadQuad<kQuad>(block.codes[s])), ...);
    }
    (std::make_integer_sequence<int, 8>());
  }
}

// The scales and offsets of all sub-blocks of a block, a vector of 16 rows each.
template <typename Layout>
[[gnu::always_inline]] inline void LoadAllScales(const typename Layout::Block& block, __m512* scale,
                                                 __m512* offset) {
  if constexpr (Layout::kIsExpanded) {
    ExpandCodes<RowsAvx512, Layout>::Scales(block, 0, scale);
  } else {
    LoadScales(block.scales, scale, offset);
  }
}

// A column of 16 rows of floats.
[[gnu::always_inline]] inline __m512 LoadElements(const float (&values)[16]) {
  return _mm512_loadu_ps(values);
}
[[gnu::always_inline]] inline __m512 LoadElements(const F16 (&values)[16]) {
  return LoadHalves(values);
}
[[gnu::always_inline]] inline __m512 LoadElements(const Bf16 (&values)[16]) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

}  // namespace forge
