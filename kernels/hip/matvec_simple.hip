#include "kernels/hip/matvec_kernel.h"

namespace forge {

template Status LaunchMatvec<Q4_0>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q4_1>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q5_0>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q5_1>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q8_0>(MatvecArgs, int, HipStream&);

}  // namespace forge
