#pragma once

#include <immintrin.h>

#include <cstdint>

// Vectors of float for sources that are compiled for AVX2, FMA and F16C. See simd_portable.h, which
// has the same names in plain C++, for what each function does.
namespace forge {
namespace {

using Vec = __m256;
using IntVec = int32_t __attribute__((vector_size(32)));
constexpr int kLanes = 8;
constexpr int kTileRows = 6;
constexpr int kMaxAccumulators = 12;

// All bits set in the first n lanes.
inline __m256i FirstLanes(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Vec Set(float value) { return _mm256_set1_ps(value); }
inline Vec Load(const float* from) { return _mm256_loadu_ps(from); }
inline Vec LoadFirst(const float* from, int n) { return _mm256_maskload_ps(from, FirstLanes(n)); }
inline void Store(float* to, Vec v) { _mm256_storeu_ps(to, v); }
inline void StoreFirst(float* to, Vec v, int n) { _mm256_maskstore_ps(to, FirstLanes(n), v); }

inline Vec LoadHalf(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Vec LoadFirstHalf(const uint16_t* from, int n) {
  uint16_t halves[kLanes] = {};
  for (int i = 0; i < n; ++i) halves[i] = from[i];
  return LoadHalf(halves);
}
inline void StoreHalf(uint16_t* to, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline void StoreFirstHalf(uint16_t* to, Vec v, int n) {
  uint16_t halves[kLanes];
  StoreHalf(halves, v);
  for (int i = 0; i < n; ++i) to[i] = halves[i];
}

inline float HalfAt(const uint16_t* from) { return _cvtsh_ss(*from); }

inline Vec LoadBf16(const uint16_t* from) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
inline Vec LoadFirstBf16(const uint16_t* from, int n) {
  uint16_t halves[kLanes] = {};
  for (int i = 0; i < n; ++i) halves[i] = from[i];
  return LoadBf16(halves);
}
inline Vec LoadInt8(const int8_t* from) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
inline Vec LoadFirstInt8(const int8_t* from, int n) {
  int8_t bytes[kLanes] = {};
  for (int i = 0; i < n; ++i) bytes[i] = from[i];
  return LoadInt8(bytes);
}

inline Vec Fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec Max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec Min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec SwapPairs(Vec v) { return _mm256_permute_ps(v, 0xb1); }

}  // namespace
}  // namespace forge

#include "kernels/cpu/simd_lanes.inl"
