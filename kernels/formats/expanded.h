#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace forge {

// What the formats share whose blocks of 256 weights hold codes in no plain form, so that reading
// one means expanding it: value = scale * (code - kZero), with kScales scales for each 32 weights.
//
// Such a format has Unpack(block, codes), codes below 2^kBits, and UnpackScales(block, scales), in
// the order of the weights.

template <typename Format>
void DequantizeExpanded(const typename Format::Block& block, float* y) {
  uint8_t codes[256];
  float scales[8 * Format::kScales];
  Format::Unpack(block, codes);
  Format::UnpackScales(block, scales);
  for (int i = 0; i < 256; ++i)
    y[i] = scales[i * Format::kScales / 32] * static_cast<float>(codes[i] - Format::kZero);
}

// The signs of eight weights, of which seven are given: an even number of them is negative.
constexpr uint8_t WithEvenParity(uint32_t seven_signs) {
  return static_cast<uint8_t>(seven_signs | (std::popcount(seven_signs) % 2) << 7);
}

// Writes magnitudes under the signs in the low bits of `signs`, 1 for negative.
template <int kZero, size_t kElements>
void UnpackSigned(const std::array<int8_t, kElements>& magnitudes, uint32_t signs, uint8_t* codes) {
  for (size_t i = 0; i < kElements; ++i) {
    const int value = (signs >> i & 1) != 0 ? -magnitudes[i] : magnitudes[i];
    codes[i] = static_cast<uint8_t>(kZero + value);
  }
}

}  // namespace forge
