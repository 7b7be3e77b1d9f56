#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/model/model_plan.h"

namespace forge {

// Makes rows of a weight of the columns of the file's matrix: a block of a quantised row holds
// numbers of several rows of the weight, so they are expanded and written as WeightPlacement::shape
// says. Thread-compatible. Lifetime: refers to the placement and to the file's bytes.
class TransposedMatrix {
 public:
  // REQUIRES: the weight is transposed, and `file_rows` are all of its rows in the file.
  TransposedMatrix(const WeightPlacement& weight, const std::byte* file_rows)
      : weight_(weight), file_rows_(file_rows) {}

  // Rows [first_row, first_row + n_rows) of the weight. REQUIRES: first_row is a multiple of a
  // block's elements, and so is n_rows.
  std::vector<std::byte> Rows(int64_t first_row, int64_t n_rows) const;

 private:
  const WeightPlacement& weight_;
  const std::byte* const file_rows_;
};

}  // namespace forge
