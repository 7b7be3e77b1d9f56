#include "kernels/hip/elementwise.h"
#include "kernels/hip/join_columns.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads) JoinColumnsKernel(JoinColumnsArgs args) {
  const int n_cols = args.first.n_cols + args.second.n_cols;
  const int64_t n = static_cast<int64_t>(args.n_rows) * n_cols;
  for (int64_t at = FirstElement(); at < n; at += ElementStride()) {
    const int64_t row = at / n_cols;
    const int64_t column = at % n_cols;
    args.y[at] = column < args.first.n_cols
                     ? args.first.x[row * args.first.stride + column]
                     : args.second.x[row * args.second.stride + column - args.first.n_cols];
  }
}

}  // namespace

Status HipJoinColumns(const JoinColumnsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  HipStream& hip = AsHip(stream);
  const int64_t n = static_cast<int64_t>(args.n_rows) * (args.first.n_cols + args.second.n_cols);
  return LaunchKernel("join_columns", JoinColumnsKernel, ElementShape(n, hip), hip, args);
}

}  // namespace forge
