#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/quantize_avx2.h"

namespace forge {

// Rounds the activations of whole tiles with AVX-512, for files that are compiled for it:
// everything is always inlined, so that no other file can be linked to a copy from here.

// Eight vectors, one of each token, whose lanes are to be joined by `join`, an operation of two
// vectors: 16 lanes to four, the four of token t in the t-th 128 bits of the results.
template <typename Join>
[[gnu::always_inline]] inline void JoinToFours(const __m512i (&tokens)[kTileTokens],
                                               const Join& join, __m512i (&fours)[2]) {
  __m512i eights[4];  // of two tokens each
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    eights[i] = join(_mm512_shuffle_i64x2(tokens[2 * i], tokens[2 * i + 1], 0x44),
                     _mm512_shuffle_i64x2(tokens[2 * i], tokens[2 * i + 1], 0xee));
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    fours[i] = join(_mm512_shuffle_i64x2(eights[2 * i], eights[2 * i + 1], 0x88),
                    _mm512_shuffle_i64x2(eights[2 * i], eights[2 * i + 1], 0xdd));
}

// The greatest magnitude of each token, as bits of floats, which order as their magnitudes do.
[[gnu::always_inline]] inline __m256i GreatestMagnitudes(const __m512 (&values)[kTileTokens][2]) {
  const auto join = [](__m512i a, __m512i b) __attribute__((always_inline)) {
    return _mm512_max_epi32(a, b);
  };
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  __m512i magnitudes[kTileTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTileTokens; ++t)
    magnitudes[t] = join(_mm512_and_si512(_mm512_castps_si512(values[t][0]), mask),
                         _mm512_and_si512(_mm512_castps_si512(values[t][1]), mask));
  __m512i fours[2];
  JoinToFours(magnitudes, join, fours);
  // Of each 128 bits: tokens t and t + 4 in turns.
  const __m512i twos =
      join(_mm512_unpacklo_epi32(fours[0], fours[1]), _mm512_unpackhi_epi32(fours[0], fours[1]));
  const __m512i ones = join(twos, _mm512_shuffle_epi32(twos, _MM_PERM_BADC));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, ones));
}

// The codes of tokens t and t + 1, one after the other.
[[gnu::always_inline]] inline __m512i RoundTwoTokens(const __m512 (&values)[kTileTokens][2], int t,
                                                     const float (&inverse)[kTileTokens]) {
  __m512i words[2];  // of each 128 bits: four columns of the first half, four of the second
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512 factor = _mm512_set1_ps(inverse[t + i]);
    words[i] = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(values[t + i][0], factor)),
                                  _mm512_cvtps_epi32(_mm512_mul_ps(values[t + i][1], factor)));
  }
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(words[0], words[1]));
}

// Sums of the first 16 codes of each token, then of the last 16; `codes`: of two tokens each.
[[gnu::always_inline]] inline __m512i HalfSums(const __m512i (&codes)[kTileTokens / 2]) {
  const __m512i one = _mm512_set1_epi8(1);
  __m512i fours[4];  // sums of four codes; of each 128 bits: half a token
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) fours[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), one, codes[i]);
  __m512i eights[2];  // of tokens 0, 1 and 2, 3 in turns, and of 4, 5 and 6, 7
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i)
    eights[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(fours[2 * i], fours[2 * i + 1]),
                                 _mm512_unpackhi_epi32(fours[2 * i], fours[2 * i + 1]));
  const __m512i halves = _mm512_add_epi32(_mm512_unpacklo_epi64(eights[0], eights[1]),
                                          _mm512_unpackhi_epi64(eights[0], eights[1]));
  const __m512i order = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
  return _mm512_permutexvar_epi32(order, halves);
}

// Rounds 32 columns of all tokens, whose rows are `stride` floats apart.
[[gnu::always_inline]] inline void QuantizeTileBlock(const float* x, int64_t stride,
                                                     ActivationBlock<kTileTokens>& block) {
  static_assert(kTileTokens == 8);
  __m512 values[kTileTokens][2];
#pragma GCC unroll 8
  for (int t = 0; t < kTileTokens; ++t) {
    values[t][0] = _mm512_loadu_ps(x + t * stride);
    values[t][1] = _mm512_loadu_ps(x + t * stride + 16);
  }
  const __m256i max_bits = GreatestMagnitudes(values);
  const __m256 max = _mm256_castsi256_ps(max_bits);
  const __mmask8 is_usual = _mm256_cmplt_epi32_mask(max_bits, _mm256_set1_epi32(0x7f800000)) &
                            _mm256_cmp_ps_mask(max, _mm256_set1_ps(1e-30f), _CMP_GE_OQ);
  if (is_usual != 0xff) {
    for (int t = 0; t < kTileTokens; ++t)
      QuantizeActivationBlockAvx2(x + t * stride, t, kTileTokens,
                                  reinterpret_cast<std::byte*>(&block));
    return;
  }
  const __m256 scale = _mm256_div_ps(max, _mm256_set1_ps(127.0f));
  alignas(32) float inverse[kTileTokens];
  _mm256_store_ps(inverse, _mm256_div_ps(_mm256_set1_ps(127.0f), max));
  __m512i codes[kTileTokens / 2];
#pragma GCC unroll 4
  for (int i = 0; i < kTileTokens / 2; ++i) {
    codes[i] = RoundTwoTokens(values, 2 * i, inverse);
    _mm512_storeu_si512(block.codes[2 * i], codes[i]);
  }
  const __m512i half_sums = HalfSums(codes);
  const __m256i sums =
      _mm256_add_epi32(_mm512_castsi512_si256(half_sums), _mm512_extracti64x4_epi64(half_sums, 1));
  const __m256i zero = _mm256_setzero_si256();
  _mm256_storeu_ps(block.scale, scale);
  _mm256_storeu_ps(block.scaled_sum, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(sums)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block.negative_sum), _mm256_sub_epi32(zero, sums));
  _mm512_storeu_si512(block.negative_half_sums,
                      _mm512_sub_epi32(_mm512_setzero_si512(), half_sums));
}

// QuantizeActivations of all tokens of a tile, whose rows are `stride` floats apart, without second
// digits, equal to the bit, in a fraction of the time: the tokens share divisions, and the lines of
// a block are written once.
[[gnu::always_inline]] inline void QuantizeTile(const float* x, int64_t stride, int64_t n_cols,
                                                std::byte* tile) {
  auto* block = reinterpret_cast<ActivationBlock<kTileTokens>*>(tile);
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns)
    QuantizeTileBlock(x + i, stride, *block++);
}

}  // namespace forge
