#include "kernels/hip/combine_experts.h"
#include "kernels/hip/elementwise.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads) CombineExpertsKernel(CombineExpertsArgs args) {
  const int64_t n = static_cast<int64_t>(args.n_tokens) * args.dim;
  for (int64_t at = FirstElement(); at < n; at += ElementStride()) {
    const int64_t token = at / args.dim;
    const int64_t d = at % args.dim;
    float sum = 0.0f;
    for (int k = 0; k < args.n_used; ++k) {
      const int64_t pair = token * args.n_used + k;
      sum = fmaf(args.weights[pair], args.x[pair * args.dim + d], sum);
    }
    if (args.shared != nullptr) {
      const float weight =
          args.shared_gate == nullptr ? 1.0f : 1.0f / (1.0f + expf(-args.shared_gate[token]));
      sum = fmaf(weight, args.shared[at], sum);
    }
    args.y[at] = args.residual == nullptr ? sum : sum + args.residual[at];
  }
}

}  // namespace

Status HipCombineExperts(const CombineExpertsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  return LaunchKernel("combine_experts", CombineExpertsKernel,
                      ElementShape(static_cast<int64_t>(args.n_tokens) * args.dim, hip), hip, args);
}

}  // namespace forge
