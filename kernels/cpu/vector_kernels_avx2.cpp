#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/vector_kernels.h"
#include "kernels/cpu/vector_kernels.inl"

namespace forge {
const VectorKernels kAvx2VectorKernels = kVectorKernels;
}  // namespace forge
