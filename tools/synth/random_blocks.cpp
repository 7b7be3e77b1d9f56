#include "tools/synth/random_blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>

#include "kernels/base/half.h"

namespace forge {
namespace {

enum class ScaleKind {
  kNone,      // the block is one float
  kF16,       // at scale_offset
  kExponent,  // one byte: 2^(byte - 127) or half of it
  kScattered  // an f16 in the upper four bits of four 16-bit words, the lowest bits first
};

// Where a format keeps its scale and its min. A value is about scale * code - min: `min_ratio`
// times the scale makes the mean 0.
struct ScaleLayout {
  uint32_t dtype;  // GGUF type id
  ScaleKind kind;
  uint32_t scale_offset = 0;
  int min_offset = -1;
  float min_ratio = 0.0f;
};

// Every format of GGUF that weights come in.
constexpr ScaleLayout kLayouts[] = {
    {0, ScaleKind::kNone},                // F32
    {1, ScaleKind::kNone},                // F16
    {2, ScaleKind::kF16},                 // Q4_0
    {3, ScaleKind::kF16, 0, 2, -7.5f},    // Q4_1: scale * code + min
    {6, ScaleKind::kF16},                 // Q5_0
    {7, ScaleKind::kF16, 0, 2, -15.5f},   // Q5_1
    {8, ScaleKind::kF16},                 // Q8_0
    {10, ScaleKind::kF16, 80, 82, 1.5f},  // Q2_K: scale * (s * code) - min * m, both random
    {11, ScaleKind::kF16, 108},           // Q3_K
    {12, ScaleKind::kF16, 0, 2, 7.5f},    // Q4_K
    {13, ScaleKind::kF16, 0, 2, 15.5f},   // Q5_K
    {14, ScaleKind::kF16, 208},           // Q6_K
    {16, ScaleKind::kF16},                // IQ2_XXS
    {17, ScaleKind::kF16},                // IQ2_XS
    {18, ScaleKind::kF16},                // IQ3_XXS
    {19, ScaleKind::kF16},                // IQ1_S
    {20, ScaleKind::kF16},                // IQ4_NL
    {21, ScaleKind::kF16},                // IQ3_S
    {22, ScaleKind::kF16},                // IQ2_S
    {23, ScaleKind::kF16},                // IQ4_XS
    {29, ScaleKind::kScattered, 48},      // IQ1_M
    {30, ScaleKind::kNone},               // BF16
    {34, ScaleKind::kF16, 52},            // TQ1_0
    {35, ScaleKind::kF16, 64},            // TQ2_0
    {39, ScaleKind::kExponent},           // MXFP4
};

constexpr uint16_t kHalfSign = 0x8000;

const ScaleLayout* FindLayout(DType dtype) {
  for (const ScaleLayout& layout : kLayouts)
    if (DType{layout.dtype} == dtype) return &layout;
  return nullptr;
}

void Store16(std::byte* to, uint16_t value) { std::memcpy(to, &value, sizeof(value)); }

void StoreScattered(std::byte* to, uint16_t value) {
  for (int word = 0; word < 4; ++word) {
    const int nibble = (value >> (4 * word)) & 15;
    const int kept = std::to_integer<int>(to[2 * word + 1]) & 15;
    to[2 * word + 1] = static_cast<std::byte>(nibble << 4 | kept);
  }
}

uint8_t ExponentOf(float scale) {
  const long exponent = std::lround(std::log2(scale)) + 127;
  return static_cast<uint8_t>(std::clamp(exponent, 1L, 254L));
}

}  // namespace

uint64_t RandomStream::Next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

bool CanMakeRandomBlocks(DType dtype) { return FindLayout(dtype) != nullptr; }

Result<RandomBlocks> RandomBlocks::Create(const FormatInfo& format, float deviation) {
  const ScaleLayout* const layout = FindLayout(format.dtype);
  if (layout == nullptr)
    return Unimplemented("no random blocks can be made of format " + std::string(format.name) +
                         ": tools/synth/random_blocks.cpp does not know where its scale is");
  RandomBlocks blocks(format);
  if (layout->kind == ScaleKind::kNone) {
    // Equally likely values between -w and w have the deviation w / sqrt(3).
    constexpr int kValues = 1 << 12;
    const float width = deviation * std::sqrt(3.0f);
    for (int i = 0; i < kValues; ++i) {
      const float value = width * (static_cast<float>(2 * i + 1) / kValues - 1.0f);
      blocks.values_.push_back(format.block_bytes == 4 ? std::bit_cast<uint32_t>(value)
                               : format.name == "F16"  ? ToF16(value).bits
                                                       : ToBf16(value).bits);
    }
    return blocks;
  }
  blocks.SetScales(1.0f);
  blocks.SetScales(deviation / static_cast<float>(blocks.MeasureDeviation()));
  return blocks;
}

void RandomBlocks::SetScales(float scale) {
  const ScaleLayout& layout = *FindLayout(format_.dtype);
  for (size_t i = 0; i < kVariants; ++i) {
    const float factor = 0.75f + 0.5f * static_cast<float>(i / 2) / (kVariants / 2 - 1);
    if (layout.kind == ScaleKind::kExponent) {
      scales_[i] = ExponentOf(scale);
      continue;
    }
    const uint16_t sign = i % 2 == 0 ? 0 : kHalfSign;
    scales_[i] = ToF16(scale * factor).bits ^ sign;
    mins_[i] = ToF16(scale * factor * layout.min_ratio).bits ^ sign;
  }
}

double RandomBlocks::MeasureDeviation() const {
  constexpr uint64_t kBlocks = 512;
  std::vector<std::byte> bytes(kBlocks * format_.block_bytes);
  RandomStream random(1);
  Fill(bytes, random);
  std::vector<float> values(kBlocks * format_.block_elements);
  format_.dequantize(bytes.data(), kBlocks, values.data());
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

void RandomBlocks::Fill(std::span<std::byte> bytes, RandomStream& random) const {
  const ScaleLayout& layout = *FindLayout(format_.dtype);
  if (layout.kind == ScaleKind::kNone) return FillValues(bytes, random);
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint64_t bits = random.Next();
    std::memcpy(bytes.data() + i, &bits, 8);
  }
  const uint64_t rest = random.Next();
  std::memcpy(bytes.data() + i, &rest, bytes.size() - i);
  uint64_t choices = 0;
  for (size_t block = 0; block * format_.block_bytes < bytes.size(); ++block) {
    if (block % 12 == 0) choices = random.Next();
    const size_t variant = choices % kVariants;
    choices /= kVariants;
    std::byte* const base = bytes.data() + block * format_.block_bytes;
    if (layout.kind == ScaleKind::kExponent) {
      base[layout.scale_offset] = static_cast<std::byte>(scales_[variant]);
    } else if (layout.kind == ScaleKind::kScattered) {
      StoreScattered(base + layout.scale_offset, scales_[variant]);
    } else {
      Store16(base + layout.scale_offset, scales_[variant]);
      if (layout.min_offset >= 0) Store16(base + layout.min_offset, mins_[variant]);
    }
  }
}

void RandomBlocks::FillValues(std::span<std::byte> bytes, RandomStream& random) const {
  const size_t size = format_.block_bytes;
  uint64_t choices = 0;
  for (size_t i = 0; i * size < bytes.size(); ++i) {
    if (i % 5 == 0) choices = random.Next();
    // The low bytes of a value come first.
    std::memcpy(bytes.data() + i * size, &values_[choices % values_.size()], size);
    choices /= values_.size();
  }
}

}  // namespace forge
