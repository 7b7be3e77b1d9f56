#include "kernels/hip/activate.h"
#include "kernels/hip/elementwise.h"
#include "kernels/hip/gated_activation.h"

namespace forge {
namespace {

__global__ void __launch_bounds__(kElementThreads)
    GatedActivationKernel(Activation activation, float* gate, const float* up, int64_t n) {
  for (int64_t i = FirstElement(); i < n; i += ElementStride())
    gate[i] = Activate(activation, gate[i], up == nullptr ? 1.0f : up[i]);
}

}  // namespace

Status LaunchGatedActivation(Activation activation, float* gate, const float* up, int64_t n,
                             HipStream& stream) {
  return LaunchKernel("gated_activation", GatedActivationKernel, ElementShape(n, stream), stream,
                      activation, gate, up, n);
}

}  // namespace forge
