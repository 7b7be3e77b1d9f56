#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/reference/reference.h"

namespace forge {

void ReferenceTopLogits(const float* x, int64_t n_rows, int64_t n_cols, int64_t k, int32_t* columns,
                        double* log_sum_exp) {
  std::vector<int32_t> order(static_cast<size_t>(n_cols));
  for (int64_t r = 0; r < n_rows; ++r) {
    const float* row = x + r * n_cols;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [row](int32_t a, int32_t b) { return row[a] > row[b]; });
    std::copy_n(order.begin(), k, columns + r * k);
    const double greatest = static_cast<double>(row[order[0]]);
    double sum = 0.0;
    for (int64_t i = 0; i < n_cols; ++i) sum += std::exp(static_cast<double>(row[i]) - greatest);
    log_sum_exp[r] = greatest + std::log(sum);
  }
}

}  // namespace forge
