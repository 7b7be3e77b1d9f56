#include "kernels/hip/batch_matmul_kernel.h"

namespace forge {

template Status LaunchBatchMatmul<Q4_0>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q4_1>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q5_0>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q5_1>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<Q8_0>(MatvecArgs, HipStream&);

}  // namespace forge
