#include "kernels/reference/matmul.h"

#include <vector>

#include "kernels/base/check.h"

namespace forge {

void ReferenceMatmul(DType dtype, const std::byte* file_rows, int64_t n_rows, int64_t n_cols,
                     const float* x, int n_tokens, const float* bias, const float* residual,
                     double* y) {
  const FormatInfo* format = FindFormat(dtype);
  FORGE_CHECK(format != nullptr && n_cols % format->block_elements == 0, "not whole blocks");
  const int64_t n_blocks = n_cols / format->block_elements;
  std::vector<float> weights(static_cast<size_t>(n_cols));
  for (int64_t r = 0; r < n_rows; ++r) {
    format->dequantize(file_rows + r * n_blocks * format->block_bytes,
                       static_cast<uint64_t>(n_blocks), weights.data());
    for (int64_t t = 0; t < n_tokens; ++t) {
      double sum = 0.0;
      for (int64_t k = 0; k < n_cols; ++k)
        sum += static_cast<double>(weights[static_cast<size_t>(k)]) *
               static_cast<double>(x[t * n_cols + k]);
      if (bias != nullptr) sum += static_cast<double>(bias[r]);
      if (residual != nullptr) sum += static_cast<double>(residual[t * n_rows + r]);
      y[t * n_rows + r] = sum;
    }
  }
}

}  // namespace forge
