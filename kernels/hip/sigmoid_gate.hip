#include "kernels/hip/activate.h"
#include "kernels/hip/elementwise.h"
#include "kernels/hip/sigmoid_gate.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads) SigmoidGateKernel(SigmoidGateArgs args) {
  const int64_t n = static_cast<int64_t>(args.n_rows) * args.gate.n_cols;
  for (int64_t at = FirstElement(); at < n; at += ElementStride()) {
    const int64_t row = at / args.gate.n_cols, column = at % args.gate.n_cols;
    args.y[at] = args.x[at] / (1.0f + expf(-args.gate.x[row * args.gate.stride + column]));
  }
}

}  // namespace

Status HipSigmoidGate(const SigmoidGateArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  HipStream& hip = AsHip(stream);
  const int64_t n = static_cast<int64_t>(args.n_rows) * args.gate.n_cols;
  return LaunchKernel("sigmoid_gate", SigmoidGateKernel, ElementShape(n, hip), hip, args);
}

}  // namespace forge
