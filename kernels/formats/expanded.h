#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace forge {

// What the formats share whose blocks of 256 weights hold codes in no plain form, so that reading
// one means expanding it: value = scale * (code - kZero), with kScales scales for each 32 weights.
//
// Such a format has Unpack(block, codes), codes below 2^kBits, and UnpackScales(block, scales), in
// the order of the weights. Both are made of UnpackPart(block, s, codes, codebook), which writes
// the 32 codes of sub-block s, and UnpackScale(block, i). These two are constexpr, which is what
// makes compilers for GPUs accept them in kernels; kernels name the codebook, since the host's is
// out of their reach. (TQ1_0 has no codebook.)

template <typename Format>
void UnpackExpanded(const typename Format::Block& block, uint8_t* codes) {
  for (int s = 0; s < 8; ++s) Format::UnpackPart(block, s, codes + 32 * s);
}

template <typename Format>
void UnpackExpandedScales(const typename Format::Block& block, float* scales) {
  for (int i = 0; i < 8 * Format::kScales; ++i) scales[i] = Format::UnpackScale(block, i);
}

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
  uint32_t parity = seven_signs ^ seven_signs >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return static_cast<uint8_t>(seven_signs | (parity & 1) << 7);
}

// Writes magnitudes under the signs in the low bits of `signs`, 1 for negative.
template <int kZero, size_t kElements>
constexpr void UnpackSigned(const std::array<int8_t, kElements>& magnitudes, uint32_t signs,
                            uint8_t* codes) {
  for (size_t i = 0; i < kElements; ++i) {
    const int value = (signs >> i & 1) != 0 ? -magnitudes[i] : magnitudes[i];
    codes[i] = static_cast<uint8_t>(kZero + value);
  }
}

}  // namespace forge
