#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/activation.h"

namespace forge {

// Rounds activations with AVX2, for files that are compiled for it or for more: everything is
// always inlined, so that no other file can be linked to a copy from here.

// The greatest of eight.
[[gnu::always_inline]] inline int32_t MaxOf(__m256i values) {
  __m128i max = _mm_max_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  max = _mm_max_epi32(max, _mm_shuffle_epi32(max, 0x4e));
  max = _mm_max_epi32(max, _mm_shuffle_epi32(max, 0xb1));
  return _mm_cvtsi128_si32(max);
}

// QuantizeActivationBlock without second digits, equal to the bit, in half of the time.
[[gnu::always_inline]] inline void QuantizeActivationBlockAvx2(const float* x, int token,
                                                               int n_tokens, std::byte* block) {
  __m256 values[4];
  __m256i magnitudes[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    values[i] = _mm256_loadu_ps(x + 8 * i);
    magnitudes[i] = _mm256_and_si256(_mm256_castps_si256(values[i]), _mm256_set1_epi32(0x7fffffff));
  }
  const int32_t max_bits = MaxOf(_mm256_max_epi32(_mm256_max_epi32(magnitudes[0], magnitudes[1]),
                                                  _mm256_max_epi32(magnitudes[2], magnitudes[3])));
  const float max = __builtin_bit_cast(float, max_bits);
  if (max_bits >= 0x7f800000 || max < 1e-30f)
    return QuantizeActivationBlock(x, token, n_tokens, block, nullptr);
  const float scale = max / 127.0f;
  const __m256 inverse = _mm256_set1_ps(127.0f / max);
  const auto round = [&](int i) __attribute__((always_inline)) {
    return _mm256_cvtps_epi32(_mm256_mul_ps(values[i], inverse));
  };
  // Packing works in halves of 128 bits: then fours of codes have to be sorted.
  const __m256i halves = _mm256_packs_epi16(_mm256_packs_epi32(round(0), round(1)),
                                            _mm256_packs_epi32(round(2), round(3)));
  const __m256i codes =
      _mm256_permutevar8x32_epi32(halves, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block + 32 * token), codes);

  // Four sums of eight codes that are 128 too large.
  const __m256i sums =
      _mm256_sad_epu8(_mm256_xor_si256(codes, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
  const auto half_sum = [](__m128i two) __attribute__((always_inline)) {
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_unpackhi_epi64(two, two))) - 16 * 128;
  };
  const int32_t first = half_sum(_mm256_castsi256_si128(sums));
  const int32_t second = half_sum(_mm256_extracti128_si256(sums, 1));
  auto* floats = reinterpret_cast<float*>(block + 32 * n_tokens);
  floats[token] = scale;
  floats[n_tokens + token] = scale * static_cast<float>(first + second);
  auto* ints = reinterpret_cast<int32_t*>(block + 40 * n_tokens);
  ints[token] = -first - second;
  ints[n_tokens + token] = -first;
  ints[2 * n_tokens + token] = -second;
}

// QuantizeActivations, equal to the bit.
[[gnu::always_inline]] inline void QuantizeActivationsAvx2(const float* x, int64_t n_cols,
                                                           int token, int n_tokens, bool has_digits,
                                                           std::byte* tile) {
  if (has_digits) return QuantizeActivations(x, n_cols, token, n_tokens, true, tile);
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns) {
    QuantizeActivationBlockAvx2(x + i, token, n_tokens, tile);
    tile += n_tokens * kActivationBlockBytes;
  }
}

}  // namespace forge
