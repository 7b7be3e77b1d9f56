#include "kernels/hip/batch_matmul_kernel.h"

namespace forge {

template Status LaunchBatchMatmul<IQ4_NL>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ4_XS>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<MXFP4>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<TQ2_0>(MatvecArgs, HipStream&);

}  // namespace forge
