#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "kernels/api/weight.h"
#include "tests/kernels/op_rig.h"
#include "tests/kernels/random_weights.h"

namespace forge::testing {

// Memory with the alignment that devices give, between guards that a test can check.
class GuardedBytes {
 public:
  explicit GuardedBytes(uint64_t bytes)
      : bytes_(bytes), data_(static_cast<std::byte*>(::operator new(bytes + 2 * kGuard, kAlign))) {
    std::fill_n(data_.get(), bytes + 2 * kGuard, kPattern);
  }

  std::byte* data() { return data_.get() + kGuard; }
  uint64_t size() const { return bytes_; }
  bool IsIntact() const {
    for (uint64_t i = 0; i < kGuard; ++i)
      if (data_[i] != kPattern || data_[kGuard + bytes_ + i] != kPattern) return false;
    return true;
  }

 private:
  static constexpr uint64_t kGuard = 256;
  static constexpr std::align_val_t kAlign{64};
  static constexpr std::byte kPattern{0xa5};
  struct Deleter {
    void operator()(std::byte* p) const { ::operator delete(p, kAlign); }
  };

  uint64_t bytes_;
  std::unique_ptr<std::byte[], Deleter> data_;
};

// A matrix as the file has it and as the device of a rig has it.
class PackedMatrix {
 public:
  PackedMatrix(OpRig& rig, const WeightShape& shape, std::mt19937& rng)
      : PackedMatrix(rig, shape, RandomWeights(shape.dtype, shape.n_rows, shape.n_cols, rng)) {}
  PackedMatrix(OpRig& rig, const WeightShape& shape, std::vector<std::byte> file_rows)
      : shape_(shape),
        file_rows_(std::move(file_rows)),
        packed_(rig.PackedWeightBytes(shape).value()) {
    const Status status = rig.PackRows(shape, file_rows_.data(), packed_.data());
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(packed_.IsIntact());
  }

  const WeightShape& shape() const { return shape_; }
  const std::vector<std::byte>& file_rows() const { return file_rows_; }
  WeightView view() { return {packed_.data(), shape_}; }
  GuardedBytes& packed() { return packed_; }

 private:
  WeightShape shape_;
  std::vector<std::byte> file_rows_;
  GuardedBytes packed_;
};

}  // namespace forge::testing
