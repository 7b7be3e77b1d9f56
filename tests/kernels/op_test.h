#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/kernels/op_rig.h"
#include "tests/kernels/tolerance.h"

// What the tests of the ops share: sizes, random numbers, guarded outputs, and a comparison with
// the reference.
namespace forge::testing {

// Row lengths around the widths of vectors (4, 8, 16) and their unrolled loops.
inline const std::vector<int>& Lengths() {
  static const std::vector<int> kLengths = {1,  2,  3,  4,  7,  8,   9,   15,  16,  17,   31,
                                            32, 33, 63, 64, 65, 127, 128, 129, 896, 4097, 8192};
  return kLengths;
}

// An array between two zones whose bytes must stay as they are.
template <typename T>
class GuardedArray {
 public:
  explicit GuardedArray(size_t n) : n_(n), bytes_(2 * kZone + n * sizeof(T), std::byte{kPattern}) {}
  T* data() { return reinterpret_cast<T*>(bytes_.data() + kZone); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + kZone); }
  std::span<const T> span() const { return {data(), n_}; }
  void Assign(std::span<const T> from) { std::memcpy(data(), from.data(), from.size_bytes()); }
  bool GuardsIntact() const {
    for (size_t i = 0; i < kZone; ++i) {
      if (bytes_[i] != std::byte{kPattern}) return false;
      if (bytes_[bytes_.size() - 1 - i] != std::byte{kPattern}) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kZone = 256;
  static constexpr unsigned char kPattern = 0xa5;
  size_t n_;
  std::vector<std::byte> bytes_;
};

inline std::vector<float> NormalFloats(size_t n, std::mt19937& random, float deviation = 1.0f) {
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(n);
  for (float& value : values) value = normal(random);
  return values;
}

// Says which element is furthest outside the tolerance.
inline ::testing::AssertionResult Near(std::span<const float> got, std::span<const double> want,
                                       const Tolerance& tolerance) {
  if (got.size() != want.size()) return ::testing::AssertionFailure() << "sizes differ";
  size_t worst = 0;
  double worst_excess = 0.0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double allowed = tolerance.absolute + tolerance.relative * std::abs(want[i]);
    double excess = std::abs(static_cast<double>(got[i]) - want[i]) - allowed;
    if (std::isnan(excess)) excess = INFINITY;
    if (excess > worst_excess) {
      worst = i;
      worst_excess = excess;
    }
  }
  if (worst_excess == 0.0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "element " << worst << " of " << got.size() << " is "
                                       << got[worst] << ", reference " << want[worst];
}

}  // namespace forge::testing
