#include "kernels/cpu/matmul_avx2.inl"

namespace forge {

constinit const MatmulKernels kMatmulKernelsAvx2 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
