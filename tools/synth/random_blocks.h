#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/formats/format.h"

namespace forge {

// Draws numbers that differ from stream to stream and are the same on every machine. Fast enough to
// fill memory at several GB/s (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : state_(seed) {}
  uint64_t Next();

 private:
  uint64_t state_;
};

// Writes random blocks of one format whose values have mean 0 and a given deviation.
//
// Every bit of a block is random but for the scales: these are set so that the values have the
// deviation that was asked for, with a random sign and a factor of 0.75 to 1.25 from block to
// block. Nothing is quantised, which is why it is as fast as the generator.
class RandomBlocks {
 public:
  // kUnimplemented for a format whose scales it does not know.
  static Result<RandomBlocks> Create(const FormatInfo& format, float deviation);

  // Fills whole blocks. REQUIRES: bytes.size() is a multiple of the format's block_bytes.
  void Fill(std::span<std::byte> bytes, RandomStream& random) const;

 private:
  static constexpr size_t kVariants = 32;

  explicit RandomBlocks(const FormatInfo& format) : format_(format) {}
  void SetScales(float scale);
  void FillValues(std::span<std::byte> bytes, RandomStream& random) const;
  // The root of the mean square of blocks with the scales that are set.
  double MeasureDeviation() const;

  FormatInfo format_;
  // Constant once created: what a block's scale and min are set to.
  std::array<uint16_t, kVariants> scales_{};
  std::array<uint16_t, kVariants> mins_{};
  std::vector<uint32_t> values_;  // of formats without blocks: bits of the values to draw from
};

// Whether random blocks of the format can be made.
bool CanMakeRandomBlocks(DType dtype);

}  // namespace forge
