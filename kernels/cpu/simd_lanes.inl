// What AVX-512 has instructions for and the vectors of simd_portable.h and simd_avx2.h, one of
// which was included before, have not.

namespace forge {
namespace {

inline float Sum(Vec v) {
  float sum = 0.0f;
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) v[i] += v[i + width];
  sum = v[0];
  return sum;
}

inline float MaxOfLanes(Vec v) {
  float maximum = v[0];
  for (int i = 1; i < kLanes; ++i) maximum = v[i] > maximum ? v[i] : maximum;
  return maximum;
}

// p * 2^n for whole n in [-150, 128], rounded once; shifted = n + 1.5 * 2^23, which has n in its
// low bits. 2^n is a product of two, since 2^128 and 2^-150 are out of range.
inline Vec TimesPowerOfTwo(Vec p, Vec shifted) {
  const IntVec exponent =
      __builtin_bit_cast(IntVec, shifted) - __builtin_bit_cast(IntVec, Set(0x1.8p23f));
  const IntVec half = exponent >> 1;
  const Vec a = __builtin_bit_cast(Vec, (half + 127) << 23);
  const Vec b = __builtin_bit_cast(Vec, (exponent - half + 127) << 23);
  return p * a * b;
}

}  // namespace
}  // namespace forge
