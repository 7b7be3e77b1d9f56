#include "kernels/hip/launch.h"
#include "kernels/hip/rope.h"

namespace forge {
namespace {

constexpr int kThreads = 128;

// One block for each token; a thread turns the same pair in every head, so that sine and cosine are
// computed once. The angle is computed in double: positions reach a million.
__global__ void __launch_bounds__(kThreads) RopeKernel(RopeArgs args) {
  const int64_t token = blockIdx.x;
  const int n_pairs = args.rotary_dim / 2;
  float* heads = args.x + token * args.n_heads * args.head_dim;
  for (int pair = static_cast<int>(threadIdx.x); pair < n_pairs; pair += kThreads) {
    const double angle =
        static_cast<double>(args.positions[token]) * static_cast<double>(args.frequencies[pair]);
    const float cosine = static_cast<float>(cos(angle) * static_cast<double>(args.scale));
    const float sine = static_cast<float>(sin(angle) * static_cast<double>(args.scale));
    const int first = args.halves ? pair : 2 * pair;
    const int second = args.halves ? pair + n_pairs : 2 * pair + 1;
    for (int head = 0; head < args.n_heads; ++head) {
      float* x = heads + static_cast<int64_t>(head) * args.head_dim;
      const float a = x[first], b = x[second];
      x[first] = a * cosine - b * sine;
      x[second] = a * sine + b * cosine;
    }
  }
}

}  // namespace

Status HipRope(const RopeArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0 || args.rotary_dim == 0) return Status();
  return LaunchKernel("rope", RopeKernel,
                      {.grid = static_cast<unsigned>(args.n_tokens), .block = kThreads},
                      AsHip(stream), args);
}

}  // namespace forge
