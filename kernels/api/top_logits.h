#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// What choosing a token takes of a row of logits: the greatest of them, and the logarithm of the
// sum of the exponentials of all. So a device need not hand out a vocabulary's worth of numbers.
struct TopLogitsArgs {
  const float* x = nullptr;       // [n_rows, n_cols]
  float* values = nullptr;        // [n_rows, k], descending; equal ones by ascending column
  int32_t* columns = nullptr;     // [n_rows, k], of the values, each in [0, n_cols)
  double* log_sum_exp = nullptr;  // [n_rows], within 1e-6; no finite number if a logit is NaN or
                                  // +infinity, or if all are -infinity
  int n_rows = 0;
  int n_cols = 0;
  int k = 0;  // in [1, min(n_cols, kMaxTopLogits)]
};
inline constexpr int kMaxTopLogits = 64;
Status Validate(const TopLogitsArgs& args);

}  // namespace forge
