#include "kernels/cpu/matmul_avx2.inl"

namespace forge {

constinit const MatmulKernels kMatmulKernelsAvxVnni = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
