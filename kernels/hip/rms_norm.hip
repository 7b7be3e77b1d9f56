#include "kernels/hip/launch.h"
#include "kernels/hip/rms_norm.h"
#include "kernels/hip/rms_norm_kernel.h"

namespace forge {
namespace {

// One block for each row. `y` may be `x` or `residual`: a thread reads its elements before it
// writes them, and all have been summed by then.
template <int kWave>
__global__ void __launch_bounds__(kNormThreads) RmsNormKernel(RmsNormArgs args) {
  FORGE_SHARED(float, partial, kNormThreads / kWave);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * args.dim;
  const RowScale scale = MeasureRow<kWave, kNormThreads>(args.x + row, args.dim, args.epsilon,
                                                         args.is_centred, partial);
  const int weights_at = static_cast<int>(blockIdx.x) % args.n_weight_rows * args.dim;
  for (int i = static_cast<int>(threadIdx.x); i < args.dim; i += kNormThreads) {
    const float normed =
        NormElement(args.x[row + i], scale, args.weight, args.bias, weights_at + i);
    const float sum = args.residual == nullptr ? normed : args.residual[row + i] + normed;
    args.y[row + i] = args.sum_scale == nullptr ? sum : sum * *args.sum_scale;
  }
}

}  // namespace

Status HipRmsNorm(const RmsNormArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  HipStream& hip = AsHip(stream);
  return LaunchKernel("rms_norm", hip.wave_size() == 64 ? RmsNormKernel<64> : RmsNormKernel<32>,
                      {.grid = static_cast<unsigned>(args.n_rows), .block = kNormThreads}, hip,
                      args);
}

}  // namespace forge
