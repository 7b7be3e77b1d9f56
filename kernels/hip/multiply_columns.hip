#include "kernels/hip/elementwise.h"
#include "kernels/hip/multiply_columns.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads) MultiplyColumnsKernel(MultiplyColumnsArgs args) {
  const int64_t n = static_cast<int64_t>(args.n_rows) * args.factor.n_cols;
  for (int64_t at = FirstElement(); at < n; at += ElementStride()) {
    const int64_t row = at / args.factor.n_cols, column = at % args.factor.n_cols;
    args.y[at] = args.x[at] * args.factor.x[row * args.factor.stride + column];
  }
}

}  // namespace

Status HipMultiplyColumns(const MultiplyColumnsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  HipStream& hip = AsHip(stream);
  const int64_t n = static_cast<int64_t>(args.n_rows) * args.factor.n_cols;
  return LaunchKernel("multiply_columns", MultiplyColumnsKernel, ElementShape(n, hip), hip, args);
}

}  // namespace forge
