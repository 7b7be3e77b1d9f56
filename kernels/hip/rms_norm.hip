#include "kernels/hip/block_reduce.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/rms_norm.h"

namespace forge {
namespace {

constexpr int kThreads = 256;

// One block for each row. `y` may be `x` or `residual`: a thread reads its elements before it
// writes them, and all have been summed by then.
template <int kWave>
__global__ void __launch_bounds__(kThreads) RmsNormKernel(RmsNormArgs args) {
  FORGE_SHARED(float, partial, kThreads / kWave);
  const int64_t row = static_cast<int64_t>(blockIdx.x) * args.dim;
  const int thread = static_cast<int>(threadIdx.x);
  float squares = 0.0f;
  for (int i = thread; i < args.dim; i += kThreads) {
    const float value = args.x[row + i];
    squares = fmaf(value, value, squares);
  }
  squares = BlockSum<kWave, kThreads>(squares, partial);
  const float inverse = 1.0f / sqrtf(squares / static_cast<float>(args.dim) + args.epsilon);
  for (int i = thread; i < args.dim; i += kThreads) {
    const float normed = args.x[row + i] * inverse * args.weight[i];
    args.y[row + i] = args.residual == nullptr ? normed : args.residual[row + i] + normed;
  }
}

}  // namespace

Status HipRmsNorm(const RmsNormArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  HipStream& hip = AsHip(stream);
  return LaunchKernel("rms_norm", hip.wave_size() == 64 ? RmsNormKernel<64> : RmsNormKernel<32>,
                      {.grid = static_cast<unsigned>(args.n_rows), .block = kThreads}, hip, args);
}

}  // namespace forge
