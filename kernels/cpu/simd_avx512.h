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

inline float HalfAt(const uint16_t* from) { return _cvtsh_ss(*from); }

inline Vec WidenBf16(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
inline Vec LoadBf16(const uint16_t* from) {
  return WidenBf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline Vec LoadFirstBf16(const uint16_t* from, int n) {
  return WidenBf16(_mm256_maskz_loadu_epi16(FirstLanes(n), from));
}
inline Vec WidenInt8(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)); }
inline Vec LoadInt8(const int8_t* from) {
  return WidenInt8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline Vec LoadFirstInt8(const int8_t* from, int n) {
  return WidenInt8(_mm_maskz_loadu_epi8(FirstLanes(n), from));
}

inline Vec Fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec Max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec Min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec SwapPairs(Vec v) { return _mm512_permute_ps(v, 0xb1); }
inline Vec TimesPowerOfTwo(Vec p, Vec shifted) {
  return _mm512_scalef_ps(p, shifted - Set(0x1.8p23f));
}
inline float Sum(Vec v) { return _mm512_reduce_add_ps(v); }  // halves are added, then their halves
inline float MaxOfLanes(Vec v) { return _mm512_reduce_max_ps(v); }

}  // namespace
}  // namespace forge
