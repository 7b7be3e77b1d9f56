#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/vector_kernels.h"
#include "kernels/cpu/vector_kernels.inl"

namespace forge {
const VectorKernels kAvx512VectorKernels = kVectorKernels;
}  // namespace forge
