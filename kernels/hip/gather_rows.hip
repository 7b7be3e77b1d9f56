#include "kernels/hip/gather_rows.h"
#include "kernels/hip/launch.h"

namespace forge {
namespace {

constexpr int kThreads = 256;

// One block for each row.
__global__ void __launch_bounds__(kThreads) GatherRowsKernel(GatherRowsArgs args) {
  const int row = args.rows[blockIdx.x];
  const bool is_there = row >= 0 && row < args.n_x_rows;
  const float* from = args.x + (is_there ? static_cast<int64_t>(row) * args.dim : 0);
  float* to = args.y + static_cast<int64_t>(blockIdx.x) * args.dim;
  for (int i = static_cast<int>(threadIdx.x); i < args.dim; i += kThreads)
    to[i] = is_there ? from[i] : NAN;
}

}  // namespace

Status HipGatherRows(const GatherRowsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  return LaunchKernel("gather_rows", GatherRowsKernel,
                      {.grid = static_cast<unsigned>(args.n_rows), .block = kThreads},
                      AsHip(stream), args);
}

}  // namespace forge
