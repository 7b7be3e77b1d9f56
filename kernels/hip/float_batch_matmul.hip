#include "kernels/hip/float_batch_matmul_kernel.h"

namespace forge {

template Status LaunchBatchMatmul<F16Format>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Bf16Format>(MatvecArgs, HipStream&);

}  // namespace forge
