#include "kernels/cpu/simd_portable.h"
#include "kernels/cpu/vector_kernels.h"
#include "kernels/cpu/vector_kernels.inl"

namespace forge {
const VectorKernels kPortableVectorKernels = kVectorKernels;
}  // namespace forge
