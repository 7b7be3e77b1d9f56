#include "kernels/hip/batch_matmul_kernel.h"

namespace forge {

template Status LaunchBatchMatmul<Q2_K>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q3_K>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q4_K>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q5_K>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q6_K>(MatvecArgs, HipStream&);

}  // namespace forge
