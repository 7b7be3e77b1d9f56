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
  constexpr uint32_t kParities = 0x6996;  // of 0 to 15, a bit each
  const uint32_t parity = kParities >> ((seven_signs ^ seven_signs >> 4) & 15) & 1;
  return static_cast<uint8_t>(seven_signs | parity << 7);
}

// Up to eight bytes in one word, the first in its lowest byte: with arithmetic on the word
// compilers expand codebooks in 58 to 80 % of the instructions that a loop over bytes takes.
inline constexpr uint64_t kEachByte = 0x0101010101010101;

template <size_t kBytes>
constexpr uint64_t LoadBytes(const std::array<int8_t, kBytes>& bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < kBytes; ++i) word |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return word;
}

template <size_t kBytes>
constexpr void StoreBytes(uint64_t word, uint8_t* bytes) {
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<uint8_t>(word >> (8 * i));
}

// Adds `addend` to each byte. REQUIRES: the sums are from 0 to 127, as the addend is.
constexpr uint64_t AddToBytes(uint64_t word, uint32_t addend) {
  constexpr uint64_t kHighBits = 0x80 * kEachByte;
  return (word ^ kHighBits) - (0x80 - addend) * kEachByte;  // bytes + 128 first: no borrow
}

// Writes magnitudes under the signs in the low bits of `signs`, 1 for negative. REQUIRES:
// magnitudes are from 0 to kZero, and kZero + magnitude is a byte: then no sum carries.
template <int kZero, size_t kElements>
constexpr void UnpackSigned(const std::array<int8_t, kElements>& magnitudes, uint32_t signs,
                            uint8_t* codes) {
  const uint64_t word = LoadBytes(magnitudes);
  // Bit i of the signs, alone in byte i; then 0xff in the bytes that have theirs.
  const uint64_t spread = (signs & 255) * kEachByte & 0x8040201008040201;
  const uint64_t negative = ((spread + 0x7f * kEachByte) >> 7 & kEachByte) * 0xff;
  StoreBytes<kElements>(kZero * kEachByte + (word & ~negative) - (word & negative), codes);
}

}  // namespace forge
