#pragma once

#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/weight_reader.h"

namespace forge {

// A float32 number as the sum of numbers of 16 bits, each kStep of the one before, for matrix units
// that take no others: 22 of its 24 bits in two F16, all in three Bf16.
template <typename Element>
struct HalfPieces;
template <>
struct HalfPieces<F16> {
  static constexpr int kCount = 2;  // of 11 bits each
  static constexpr float kStep = 1.0f / 2048;
  static FORGE_DEVICE F16 Round(float value) { return FloatToHalf(value); }
};
template <>
struct HalfPieces<Bf16> {
  static constexpr int kCount = 3;  // of 8 bits each
  static constexpr float kStep = 1.0f / 256;
  static FORGE_DEVICE Bf16 Round(float value) { return ToBf16(value); }
};

// Stores the pieces of a value below 2 in magnitude at `to`, `stride` elements apart.
template <typename Element>
FORGE_DEVICE void StorePieces(float value, Element* to, int stride) {
  using Pieces = HalfPieces<Element>;
  FORGE_UNROLL
  for (int piece = 0; piece < Pieces::kCount; ++piece) {
    const Element rounded = Pieces::Round(value);
    to[piece * stride] = rounded;
    value = (value - WeightToFloat(rounded)) * (1.0f / Pieces::kStep);
  }
}

// A power of two that brings numbers into the pieces' range.
struct PieceScale {
  float scale;    // value = scale * what the pieces add up to; NaN if a number was not finite
  float inverse;  // 0 where there are no pieces
};

FORGE_DEVICE uint32_t MagnitudeBits(float value) {
  return std::bit_cast<uint32_t>(value) & 0x7fffffffu;  // they order as magnitudes do
}

// `greatest`: of the MagnitudeBits.
FORGE_DEVICE PieceScale FindPieceScale(uint32_t greatest) {
  const uint32_t exponent = greatest >> 23;
  if (exponent >= 254) return {NAN, 0.0f};  // also what a product would carry out of the range
  if (exponent < 27) return {0.0f, 0.0f};   // below 1e-30, whose inverse would leave the range
  return {std::bit_cast<float>(exponent << 23), std::bit_cast<float>((254 - exponent) << 23)};
}

}  // namespace forge
