#pragma once

#include <cstdint>

#include "kernels/base/half.h"

// Vectors of float for any processor, through the vector types of GCC and Clang.
//
// simd_avx2.h and simd_avx512.h define the same names. A source includes exactly one of the three,
// and the names are in an unnamed namespace: sources compiled for different processors must not
// share an inline function, or the linker may keep the one that an older processor cannot run.
namespace forge {
namespace {

using Vec = float __attribute__((vector_size(16)));
using IntVec = int32_t __attribute__((vector_size(16)));
constexpr int kLanes = 4;
// How many query rows one pass of attention takes, and how many vectors may hold their sums, so
// that all stay in registers.
constexpr int kTileRows = 4;
constexpr int kMaxAccumulators = 8;

inline Vec Set(float value) { return Vec{value, value, value, value}; }
inline Vec Load(const float* from) {
  Vec v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}
// Reads n floats, 0 <= n <= kLanes, and sets the other lanes to 0.
inline Vec LoadFirst(const float* from, int n) {
  Vec v = {};
  for (int i = 0; i < n; ++i) v[i] = from[i];
  return v;
}
inline void Store(float* to, Vec v) { __builtin_memcpy(to, &v, sizeof(v)); }
// Writes the first n lanes and nothing else.
inline void StoreFirst(float* to, Vec v, int n) {
  for (int i = 0; i < n; ++i) to[i] = v[i];
}

// As above, from and to the bits of binary16, rounding to nearest, ties to even.
inline Vec LoadFirstHalf(const uint16_t* from, int n) {
  Vec v = {};
  for (int i = 0; i < n; ++i) v[i] = ToFloat(F16{from[i]});
  return v;
}
inline Vec LoadHalf(const uint16_t* from) { return LoadFirstHalf(from, kLanes); }
inline void StoreFirstHalf(uint16_t* to, Vec v, int n) {
  for (int i = 0; i < n; ++i) to[i] = ToF16(v[i]).bits;
}
inline void StoreHalf(uint16_t* to, Vec v) { StoreFirstHalf(to, v, kLanes); }

inline float HalfAt(const uint16_t* from) { return ToFloat(F16{*from}); }

// As LoadFirst and Load, from bfloat16 and from int8.
inline Vec LoadFirstBf16(const uint16_t* from, int n) {
  Vec v = {};
  for (int i = 0; i < n; ++i) v[i] = ToFloat(Bf16{from[i]});
  return v;
}
// Without a loop, which GCC 12 turns into vectors or not as it inlines it: attention over bfloat16
// takes 1.6 times the instructions where it does not.
inline Vec LoadBf16(const uint16_t* from) {
  using Halves = uint16_t __attribute__((vector_size(8)));
  using Words = uint32_t __attribute__((vector_size(16)));
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  const Words words = __builtin_convertvector(halves, Words) << 16;
  Vec v;
  __builtin_memcpy(&v, &words, sizeof(v));
  return v;
}
inline Vec LoadFirstInt8(const int8_t* from, int n) {
  Vec v = {};
  for (int i = 0; i < n; ++i) v[i] = static_cast<float>(from[i]);
  return v;
}
inline Vec LoadInt8(const int8_t* from) { return LoadFirstInt8(from, kLanes); }

// a * b + c, rounded once where the processor can.
inline Vec Fma(Vec a, Vec b, Vec c) { return a * b + c; }
// The second operand where either is NaN.
inline Vec Max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec Min(Vec a, Vec b) { return a < b ? a : b; }
// Lanes 1, 0, 3, 2, ...
inline Vec SwapPairs(Vec v) { return Vec{v[1], v[0], v[3], v[2]}; }

}  // namespace
}  // namespace forge

#include "kernels/cpu/simd_lanes.inl"
