#include "kernels/hip/elementwise.h"
#include "kernels/hip/soft_cap.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads) SoftCapKernel(SoftCapArgs args) {
  for (int64_t i = FirstElement(); i < args.n; i += ElementStride())
    args.y[i] = args.cap * tanhf(args.x[i] / args.cap);
}

}  // namespace

Status HipSoftCap(const SoftCapArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n == 0) return Status();
  HipStream& hip = AsHip(stream);
  return LaunchKernel("soft_cap", SoftCapKernel, ElementShape(args.n, hip), hip, args);
}

}  // namespace forge
