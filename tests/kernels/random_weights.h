#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "kernels/base/half.h"
#include "kernels/formats/formats.h"

// Makes weight matrices as a file has them: every code occurs, scales and offsets are ordinary.
namespace forge::testing {

// IQ1_M has its scale in the top nibbles of four words.
template <typename Block>
void SetScale(Block& block, float scale) {
  const uint16_t bits = ToF16(scale).bits;
  for (int i = 0; i < 4; ++i)
    block.scales[i] =
        static_cast<uint16_t>((block.scales[i] & 0xfff) | (bits >> (4 * i) & 15) << 12);
}

template <typename Block>
float ScaleOf(const Block& block) {
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits |= static_cast<uint32_t>(block.scales[i] >> 12) << (4 * i);
  return ToFloat(F16{static_cast<uint16_t>(bits)});
}

// A block of bytes from `next_byte`, but for its scales and offsets.
template <typename Format, typename NextByte>
typename Format::Block MakeBlock(const NextByte& next_byte, std::mt19937& rng) {
  typename Format::Block block;
  auto* bytes = reinterpret_cast<uint8_t*>(&block);
  for (size_t i = 0; i < sizeof(block); ++i) bytes[i] = static_cast<uint8_t>(next_byte());
  std::uniform_real_distribution<float> value(-2.0f, 2.0f);
  std::uniform_real_distribution<float> scale(0.001f, 0.01f);
  if constexpr (requires { block.scale; }) block.scale = ToF16(scale(rng));
  if constexpr (requires { block.min; }) block.min = ToF16(scale(rng));
  if constexpr (requires { block.offset; }) block.offset = ToF16(-8.0f * scale(rng));
  if constexpr (Format::kDType == IQ1_M::kDType) SetScale(block, scale(rng));
  if constexpr (requires { block.exponent; })
    block.exponent = static_cast<uint8_t>(117 + rng() % 4);
  if constexpr (Format::kDType == F32Format::kDType) block.value = value(rng);
  if constexpr (Format::kDType == F16Format::kDType) block.value = ToF16(value(rng));
  if constexpr (Format::kDType == Bf16Format::kDType) block.value = ToBf16(value(rng));
  return block;
}

// The block with its values times `factor`, as nearly as the format can.
template <typename Format>
typename Format::Block Scaled(typename Format::Block block, float factor) {
  const auto scale = [factor](F16& half) { half = ToF16(ToFloat(half) * factor); };
  if constexpr (requires { block.scale; }) scale(block.scale);
  if constexpr (requires { block.min; }) scale(block.min);
  if constexpr (requires { block.offset; }) scale(block.offset);
  if constexpr (Format::kDType == IQ1_M::kDType) SetScale(block, ScaleOf(block) * factor);
  if constexpr (requires { block.exponent; })
    block.exponent =
        static_cast<uint8_t>(static_cast<float>(block.exponent) + std::round(std::log2(factor)));
  if constexpr (Format::kDType == F32Format::kDType) block.value *= factor;
  if constexpr (Format::kDType == F16Format::kDType) scale(block.value);
  if constexpr (Format::kDType == Bf16Format::kDType)
    block.value = ToBf16(ToFloat(block.value) * factor);
  return block;
}

// n_rows * n_cols weights of bytes from next_byte(row); n_cols is a multiple of the format's block.
template <typename NextByte>
std::vector<std::byte> MakeWeights(DType dtype, int64_t n_rows, int64_t n_cols,
                                   const NextByte& next_byte, std::mt19937& rng) {
  std::vector<std::byte> bytes;
  const auto fill = [&]<typename Format>(const Format*) {
    if (Format::kDType != dtype) return;
    using Block = typename Format::Block;
    const int64_t row_blocks = n_cols / Format::kBlockElements;
    bytes.resize(static_cast<size_t>(n_rows * row_blocks) * sizeof(Block));
    for (int64_t i = 0; i < n_rows * row_blocks; ++i) {
      const Block block = MakeBlock<Format>([&] { return next_byte(i / row_blocks); }, rng);
      std::memcpy(bytes.data() + static_cast<size_t>(i) * sizeof(Block), &block, sizeof(Block));
    }
  };
  std::apply([&](auto... format) { (fill(static_cast<decltype(format)*>(nullptr)), ...); },
             Formats());
  return bytes;
}

inline std::vector<std::byte> RandomWeights(DType dtype, int64_t n_rows, int64_t n_cols,
                                            std::mt19937& rng) {
  return MakeWeights(
      dtype, n_rows, n_cols, [&rng](int64_t) { return rng(); }, rng);
}

// 256 rows; all codes of row r are made of bytes r.
inline std::vector<std::byte> UniformWeights(DType dtype, int64_t n_cols, std::mt19937& rng) {
  return MakeWeights(
      dtype, 256, n_cols, [](int64_t row) { return row; }, rng);
}

// The same with a root mean square of about `size` in each block of several elements.
inline std::vector<std::byte> RandomWeightsOfSize(DType dtype, int64_t n_rows, int64_t n_cols,
                                                  float size, std::mt19937& rng) {
  std::vector<std::byte> bytes = RandomWeights(dtype, n_rows, n_cols, rng);
  const auto scale = [&]<typename Format>(const Format*) {
    if (Format::kDType != dtype) return;
    using Block = typename Format::Block;
    for (size_t i = 0; i < bytes.size(); i += sizeof(Block)) {
      Block block;
      std::memcpy(&block, bytes.data() + i, sizeof(Block));
      float values[Format::kBlockElements];
      Format::Dequantize(block, values);
      float squares = 0.0f;
      for (const float value : values) squares += value * value;
      const float root = std::sqrt(squares / static_cast<float>(Format::kBlockElements));
      // A lone element keeps its place in the distribution, whose root mean square is 2 / sqrt(3).
      block = Scaled<Format>(block, size / (Format::kBlockElements == 1 ? 1.1547f : root));
      std::memcpy(bytes.data() + i, &block, sizeof(Block));
    }
  };
  std::apply([&](auto... format) { (scale(static_cast<decltype(format)*>(nullptr)), ...); },
             Formats());
  return bytes;
}

}  // namespace forge::testing
