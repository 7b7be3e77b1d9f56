#pragma once

#include <immintrin.h>

#include "kernels/cpu/pack_layout.h"

namespace forge {

// Reads the packed layout with AVX-512. For files that are compiled for it and for nothing less:
// everything is always inlined, so that no other file can be linked to a copy from here.

[[gnu::always_inline]] inline __m512i Load(const uint8_t* p) { return _mm512_loadu_si512(p); }

[[gnu::always_inline]] inline __m512 LoadHalves(const F16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Quads 0-7 of 16 rows as bytes; `nibbles` holds two quads in each vector.
[[gnu::always_inline]] inline void LoadNibbles(const uint8_t (&nibbles)[4][64], __m512i* codes) {
  const __m512i mask = _mm512_set1_epi8(15);
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m512i both = Load(nibbles[q]);
    codes[q] = _mm512_and_si512(both, mask);
    codes[q + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
  }
}

// low | (high & mask)
[[gnu::always_inline]] inline __m512i OrMasked(__m512i low, __m512i high, __m512i mask) {
  return _mm512_ternarylogic_epi32(low, high, mask, 0xf8);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<4>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<5>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
  const __m512i bits = Load(packed.fifth_bits);
  const __m512i mask = _mm512_set1_epi8(16);
  codes[0] = OrMasked(codes[0], _mm512_slli_epi16(bits, 4), mask);
  codes[1] = OrMasked(codes[1], _mm512_slli_epi16(bits, 3), mask);
  codes[2] = OrMasked(codes[2], _mm512_slli_epi16(bits, 2), mask);
  codes[3] = OrMasked(codes[3], _mm512_slli_epi16(bits, 1), mask);
  codes[4] = OrMasked(codes[4], bits, mask);
  codes[5] = OrMasked(codes[5], _mm512_srli_epi16(bits, 1), mask);
  codes[6] = OrMasked(codes[6], _mm512_srli_epi16(bits, 2), mask);
  codes[7] = OrMasked(codes[7], _mm512_srli_epi16(bits, 3), mask);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<6>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
  const __m512i mask = _mm512_set1_epi8(0x30);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m512i bits = Load(packed.upper_bits[h]);
    __m512i* half = codes + 4 * h;
    half[0] = OrMasked(half[0], _mm512_slli_epi16(bits, 4), mask);
    half[1] = OrMasked(half[1], _mm512_slli_epi16(bits, 2), mask);
    half[2] = OrMasked(half[2], bits, mask);
    half[3] = OrMasked(half[3], _mm512_srli_epi16(bits, 2), mask);
  }
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<8>& packed, __m512i* codes) {
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) codes[q] = Load(packed.bytes[q]);
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

[[gnu::always_inline]] inline void LoadScales(const PackedKScales& packed, __m512* scale,
                                              __m512* offset) {
  const __m512i mask = _mm512_set1_epi32(63);
  const __m512i words[3] = {_mm512_loadu_si512(packed.six_bit[0]),
                            _mm512_loadu_si512(packed.six_bit[1]),
                            _mm512_loadu_si512(packed.six_bit[2])};
  const __m512 super_scale = LoadHalves(packed.scale);
  const __m512 super_offset = _mm512_sub_ps(_mm512_setzero_ps(), LoadHalves(packed.min));
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const __m128i count = _mm_cvtsi32_si128(6 * (i % 5));
    const __m512i value = _mm512_and_si512(_mm512_srl_epi32(words[i / 5], count), mask);
    const __m512 factor = _mm512_cvtepi32_ps(value);
    if (i < 8) {
      scale[i] = _mm512_mul_ps(super_scale, factor);
    } else {
      offset[i - 8] = _mm512_mul_ps(super_offset, factor);
    }
  }
  const __m512i low = _mm512_srli_epi32(words[0], 30);
  const __m512i middle = _mm512_slli_epi32(_mm512_srli_epi32(words[1], 30), 2);
  const __m512i high = _mm512_slli_epi32(_mm512_srli_epi32(words[2], 30), 4);
  const __m512i last = _mm512_or_si512(_mm512_or_si512(low, middle), high);
  offset[7] = _mm512_mul_ps(super_offset, _mm512_cvtepi32_ps(last));
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

}  // namespace forge
