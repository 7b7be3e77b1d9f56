#pragma once

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

template <typename Format>
typename Format::Block RandomBlock(std::mt19937& rng) {
  typename Format::Block block;
  auto* bytes = reinterpret_cast<uint8_t*>(&block);
  for (size_t i = 0; i < sizeof(block); ++i) bytes[i] = static_cast<uint8_t>(rng());
  std::uniform_real_distribution<float> value(-2.0f, 2.0f);
  std::uniform_real_distribution<float> scale(0.001f, 0.01f);
  if constexpr (requires { block.scale; }) block.scale = ToF16(scale(rng));
  if constexpr (requires { block.min; }) block.min = ToF16(scale(rng));
  if constexpr (requires { block.offset; }) block.offset = ToF16(-8.0f * scale(rng));
  if constexpr (requires { block.exponent; })
    block.exponent = static_cast<uint8_t>(117 + rng() % 4);
  if constexpr (Format::kDType == F32Format::kDType) block.value = value(rng);
  if constexpr (Format::kDType == F16Format::kDType) block.value = ToF16(value(rng));
  if constexpr (Format::kDType == Bf16Format::kDType) block.value = ToBf16(value(rng));
  return block;
}

// n_rows * n_cols weights; n_cols is a multiple of the format's block.
inline std::vector<std::byte> RandomWeights(DType dtype, int64_t n_rows, int64_t n_cols,
                                            std::mt19937& rng) {
  std::vector<std::byte> bytes;
  const auto fill = [&]<typename Format>(const Format*) {
    if (Format::kDType != dtype) return;
    using Block = typename Format::Block;
    const auto n_blocks = static_cast<size_t>(n_rows * n_cols / Format::kBlockElements);
    bytes.resize(n_blocks * sizeof(Block));
    for (size_t i = 0; i < n_blocks; ++i) {
      const Block block = RandomBlock<Format>(rng);
      std::memcpy(bytes.data() + i * sizeof(Block), &block, sizeof(Block));
    }
  };
  std::apply([&](auto... format) { (fill(static_cast<decltype(format)*>(nullptr)), ...); },
             Formats());
  return bytes;
}

}  // namespace forge::testing
