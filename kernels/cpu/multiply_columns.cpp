#include "kernels/cpu/multiply_columns.h"

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/parallel_rows.h"

namespace forge {

Status CpuMultiplyColumns(const MultiplyColumnsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  const int64_t n_cols = args.factor.n_cols;
  ParallelRows(AsCpu(stream).pool(), args.n_rows, n_cols, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* const x = args.x + row * n_cols;
      const float* const factor = args.factor.x + row * args.factor.stride;
      float* const y = args.y + row * n_cols;
      for (int64_t i = 0; i < n_cols; ++i) y[i] = x[i] * factor[i];
    }
  });
  return Status();
}

}  // namespace forge
