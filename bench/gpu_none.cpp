#include "bench/gpu.h"

namespace forge {
namespace {

Status NoGpus() {
  return Unimplemented("this build has no GPU device; configure with -DFORGE_GPU=rocm or cuda");
}

}  // namespace

Result<std::unique_ptr<Device>> OpenGpu(int) { return NoGpus(); }
Result<double> MeasureGpuCopyRate(int) { return NoGpus(); }
Result<double> MeasureGpuMatrixRate(int) { return NoGpus(); }

}  // namespace forge
