#pragma once

#include <immintrin.h>

#include <cstdint>

// Vectors of float for sources that are compiled for AVX-512. See simd_portable.h, which has the
// same names in plain C++, for what each function does.
namespace forge {
namespace {

using Vec = __m512;
using IntVec = int32_t __attribute__((vector_size(64)));
constexpr int kLanes = 16;
constexpr int kTileRows = 8;
constexpr int kMaxAccumulators = 24;

inline __mmask16 FirstLanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Vec Set(float value) { return _mm512_set1_ps(value); }
inline Vec Load(const float* from) { return _mm512_loadu_ps(from); }
inline Vec LoadFirst(const float* from, int n) {
  return _mm512_maskz_loadu_ps(FirstLanes(n), from);
}
inline void Store(float* to, Vec v) { _mm512_storeu_ps(to, v); }
inline void StoreFirst(float* to, Vec v, int n) { _mm512_mask_storeu_ps(to, FirstLanes(n), v); }

inline Vec LoadHalf(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Vec LoadFirstHalf(const uint16_t* from, int n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(FirstLanes(n), from));
}
inline void StoreHalf(uint16_t* to, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline void StoreFirstHalf(uint16_t* to, Vec v, int n) {
  _mm256_mask_storeu_epi16(to, FirstLanes(n),
                           _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

inline Vec Fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec Max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec Min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec SwapPairs(Vec v) { return _mm512_permute_ps(v, 0xb1); }

}  // namespace
}  // namespace forge
