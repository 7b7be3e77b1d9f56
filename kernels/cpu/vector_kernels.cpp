#include "kernels/cpu/vector_kernels.h"

namespace forge {

const VectorKernels& VectorKernelsFor(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return kAvx512VectorKernels;
  if (level >= CpuLevel::kAvx2) return kAvx2VectorKernels;
#endif
  static_cast<void>(level);
  return kPortableVectorKernels;
}

}  // namespace forge
