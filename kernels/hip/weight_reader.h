#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/hip/device_codebooks.h"
#include "kernels/hip/gpu_runtime.h"
#include "kernels/hip/weight_layout.h"

namespace forge {

// 32 adjacent columns of a row of quantised weights, as a kernel has them in registers:
//   value = scales[h] * (code - kZero) + offsets[h]
// where h counts halves if the format has a scale for each 16 columns, and is 0 otherwise.
struct WeightPart {
  int codes[8];      // word q: columns 4 q .. 4 q + 3 as signed bytes
  float scales[2];   // kScales of them
  float offsets[2];  // as many if kHasOffsets
};

// --- Loads. Rows start at multiples of 16 bytes, so that each plane has the alignment of its
// items.

struct alignas(16) Words4 {
  uint32_t w[4];
};
struct alignas(8) Words2 {
  uint32_t w[2];
};

template <typename T>
FORGE_DEVICE const T& LoadAs(const std::byte* at) {
  return *reinterpret_cast<const T*>(at);
}

FORGE_DEVICE float LoadHalf(const std::byte* at) { return HalfToFloat(LoadAs<F16>(at)); }

// The halves of a word that holds two.
FORGE_DEVICE float LowHalf(uint32_t word) {
  return HalfToFloat(F16{static_cast<uint16_t>(word & 0xffff)});
}
FORGE_DEVICE float HighHalf(uint32_t word) {
  return HalfToFloat(F16{static_cast<uint16_t>(word >> 16)});
}

// --- Codes

template <typename Layout>
FORGE_DEVICE void LoadCodes(const std::byte* row, int64_t n_parts, int64_t part, int (&codes)[8]) {
  const std::byte* at = row + part * Layout::kCodeBytes;
  const std::byte* upper = row + Layout::UpperStart(n_parts) + part * Layout::kUpperBytes;
  if constexpr (Layout::kLowBits == 2) {
    const Words2 words = LoadAs<Words2>(at);
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q)
      codes[q] = static_cast<int>(words.w[q / 4] >> (q % 4 * 2) & 0x03030303u);
  } else if constexpr (Layout::kLowBits == 4) {
    const Words4 words = LoadAs<Words4>(at);
    FORGE_UNROLL
    for (int q = 0; q < 4; ++q) {
      codes[q] = static_cast<int>(words.w[q] & 0x0f0f0f0fu);
      codes[q + 4] = static_cast<int>(words.w[q] >> 4 & 0x0f0f0f0fu);
    }
  } else {
    const Words4 low = LoadAs<Words4>(at), high = LoadAs<Words4>(at + 16);
    FORGE_UNROLL
    for (int q = 0; q < 4; ++q) {
      codes[q] = static_cast<int>(low.w[q]);
      codes[q + 4] = static_cast<int>(high.w[q]);
    }
  }
  if constexpr (Layout::kUpperBytes == 4) {
    const uint32_t word = LoadAs<uint32_t>(upper);
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q)
      codes[q] |= static_cast<int>((word >> q & 0x01010101u) << Layout::kLowBits);
  } else if constexpr (Layout::kUpperBytes == 8) {
    const Words2 words = LoadAs<Words2>(upper);
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q)
      codes[q] |=
          static_cast<int>((words.w[q / 4] >> (q % 4 * 2) & 0x03030303u) << Layout::kLowBits);
  }
}

// Words of sixteen signed bytes: what the codes of a table say, less its zero.
template <typename Table>
struct TableWords {
  static constexpr uint32_t Word(int i) {
    uint32_t word = 0;
    for (int k = 0; k < 4; ++k) {
      const int value = Table::kCodes[static_cast<size_t>(4 * i + k)] - Table::kZero;
      word |= (static_cast<uint32_t>(value) & 255) << (8 * k);
    }
    return word;
  }
  static constexpr uint32_t kWord0 = Word(0);
  static constexpr uint32_t kWord1 = Word(1);
  static constexpr uint32_t kWord2 = Word(2);
  static constexpr uint32_t kWord3 = Word(3);
};

template <typename Table>
FORGE_DEVICE void LookUpCodes(int (&codes)[8]) {
  using Words = TableWords<Table>;
  const uint32_t table[4] = {Words::kWord0, Words::kWord1, Words::kWord2, Words::kWord3};
  FORGE_UNROLL
  for (int q = 0; q < 8; ++q)
    codes[q] = static_cast<int>(LookUpBytes(table, static_cast<uint32_t>(codes[q])));
}

// --- Scales. `at` is where the scales of the part's block lie, `s` counts parts within it.

template <typename Format>
FORGE_DEVICE void LoadScales(const std::byte* at, int s, WeightPart& part) {
  if constexpr (Format::kDType == Q4_1::kDType || Format::kDType == Q5_1::kDType) {
    const auto word = LoadAs<uint32_t>(at);
    part.scales[0] = LowHalf(word);
    part.offsets[0] = HighHalf(word);
  } else if constexpr (Format::kDType == MXFP4::kDType) {
    // 2^(exponent - 128); subnormal for the exponents 0 and 1.
    const uint32_t exponent = LoadAs<uint8_t>(at);
    part.scales[0] =
        std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23);
  } else if constexpr (Format::kDType == Q2_K::kDType) {
    const auto pair = LoadAs<uint16_t>(at + 2 * s);
    const auto word = LoadAs<uint32_t>(at + 16);
    const float scale = LowHalf(word), min = HighHalf(word);
    FORGE_UNROLL
    for (int h = 0; h < 2; ++h) {
      part.scales[h] = scale * static_cast<float>(pair >> (8 * h) & 15);
      part.offsets[h] = -(min * static_cast<float>(pair >> (8 * h + 4) & 15));
    }
  } else if constexpr (Format::kDType == Q3_K::kDType) {
    const float scale = LoadHalf(at + 12);
    FORGE_UNROLL
    for (int h = 0; h < 2; ++h) {
      const int i = 2 * s + h;
      const int low = LoadAs<uint8_t>(at + i % 8) >> (i / 8 * 4) & 15;
      const int high = LoadAs<uint8_t>(at + 8 + i % 4) >> (i / 4 * 2) & 3;
      part.scales[h] = scale * static_cast<float>((low | high << 4) - Q3_K::kScaleZero);
    }
  } else if constexpr (Format::kDType == Q4_K::kDType || Format::kDType == Q5_K::kDType) {
    // The 16 bytes are the block's scale and min, and what kernels/formats/k_scales.h describes:
    // `low` are the words with six bits of the first four, `last` that with nibbles of the others.
    const Words4 words = LoadAs<Words4>(at);
    const int shift = s % 4 * 8;
    const uint32_t first = words.w[1] >> shift, second = words.w[2] >> shift;
    const uint32_t last = words.w[3] >> shift;
    const uint32_t scale = s < 4 ? first & 63 : (last & 15) | (first >> 6 & 3) << 4;
    const uint32_t min = s < 4 ? second & 63 : (last >> 4 & 15) | (second >> 6 & 3) << 4;
    part.scales[0] = LowHalf(words.w[0]) * static_cast<float>(scale);
    part.offsets[0] = -(HighHalf(words.w[0]) * static_cast<float>(min));
  } else if constexpr (Format::kDType == Q6_K::kDType) {
    const auto pair = LoadAs<uint16_t>(at + 2 * s);
    const float scale = LoadHalf(at + 16);
    part.scales[0] = scale * static_cast<float>(static_cast<int8_t>(pair & 255));
    part.scales[1] = scale * static_cast<float>(static_cast<int8_t>(pair >> 8));
  } else if constexpr (Format::kDType == IQ4_XS::kDType) {
    const int low = LoadAs<uint8_t>(at + 4 + s / 2) >> (s % 2 * 4) & 15;
    const int high = LoadAs<uint16_t>(at + 2) >> (2 * s) & 3;
    part.scales[0] = LoadHalf(at) * static_cast<float>((low | high << 4) - IQ4_XS::kScaleZero);
  } else {
    part.scales[0] = LoadHalf(at);
  }
}

// --- A part of a row

template <typename Format>
FORGE_DEVICE void LoadExpanded(const std::byte* row, int64_t part, WeightPart& out) {
  const auto& block = *reinterpret_cast<const typename Format::Block*>(
      row + part / 8 * sizeof(typename Format::Block));
  const int s = static_cast<int>(part % 8);
  uint8_t codes[32];
  if constexpr (requires { Format::UnpackPart(block, s, codes, DeviceCodebook<Format>::Get()); }) {
    Format::UnpackPart(block, s, codes, DeviceCodebook<Format>::Get());
  } else {
    Format::UnpackPart(block, s, codes);
  }
  FORGE_UNROLL
  for (int q = 0; q < 8; ++q)
    out.codes[q] = codes[4 * q] | codes[4 * q + 1] << 8 | codes[4 * q + 2] << 16 |
                   static_cast<int>(static_cast<uint32_t>(codes[4 * q + 3]) << 24);
  FORGE_UNROLL
  for (int h = 0; h < Format::kScales; ++h)
    out.scales[h] = Format::UnpackScale(block, s * Format::kScales + h);
}

// Reads part `part` of the row at `row`, which has n_parts of them.
template <typename Format>
FORGE_DEVICE void LoadWeightPart(const std::byte* row, int64_t n_parts, int64_t part,
                                 WeightPart& out) {
  using Layout = RowLayout<Format>;
  if constexpr (Layout::kIsVerbatim) {
    LoadExpanded<Format>(row, part, out);
  } else {
    LoadCodes<Layout>(row, n_parts, part, out.codes);
    if constexpr (requires { typename Format::Table; })
      LookUpCodes<typename Format::Table>(out.codes);
    const std::byte* scales =
        row + Layout::ScaleStart(n_parts) + part / Layout::kScaleParts * Layout::kScaleBytes;
    LoadScales<Format>(scales, static_cast<int>(part % Layout::kScaleParts), out);
  }
}

// One floating-point weight.
FORGE_DEVICE float WeightToFloat(float value) { return value; }
FORGE_DEVICE float WeightToFloat(F16 value) { return HalfToFloat(value); }
FORGE_DEVICE float WeightToFloat(Bf16 value) { return ToFloat(value); }

}  // namespace forge
