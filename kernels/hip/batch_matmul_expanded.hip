#include "kernels/hip/batch_matmul_kernel.h"

namespace forge {

template Status LaunchBatchMatmul<IQ2_XXS>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ2_XS>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ2_S>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ3_XXS>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ3_S>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ1_S>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<IQ1_M>(MatvecArgs, HipStream&);
template Status LaunchBatchMatmul<TQ1_0>(MatvecArgs, HipStream&);

}  // namespace forge
