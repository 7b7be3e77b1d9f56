#pragma once

#include <cstdint>
#include <optional>

namespace forge {

// Unsigned 64-bit arithmetic for sizes that come from outside: nullopt instead of wrapping.
constexpr std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

constexpr std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// REQUIRES: alignment is a power of two.
constexpr std::optional<uint64_t> CheckedAlignUp(uint64_t value, uint64_t alignment) {
  const std::optional<uint64_t> padded = CheckedAdd(value, alignment - 1);
  if (!padded) return std::nullopt;
  return *padded & ~(alignment - 1);
}

// Collects a sum of products and remembers whether anything overflowed, so that a plan is written
// as plain arithmetic and checked once at its end.
class CheckedSum {
 public:
  constexpr CheckedSum& Add(uint64_t value) { return AddProduct(value, 1); }
  constexpr CheckedSum& AddProduct(uint64_t a, uint64_t b, uint64_t c = 1, uint64_t d = 1) {
    const std::optional<uint64_t> ab = CheckedMul(a, b);
    const std::optional<uint64_t> abc = ab ? CheckedMul(*ab, c) : std::nullopt;
    const std::optional<uint64_t> abcd = abc ? CheckedMul(*abc, d) : std::nullopt;
    total_ = total_ && abcd ? CheckedAdd(*total_, *abcd) : std::nullopt;
    return *this;
  }
  // nullopt if any step passed 2^64 - 1.
  constexpr std::optional<uint64_t> total() const { return total_; }

 private:
  std::optional<uint64_t> total_ = 0;
};

}  // namespace forge
