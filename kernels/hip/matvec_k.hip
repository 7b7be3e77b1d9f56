#include "kernels/hip/matvec_kernel.h"

namespace forge {

template Status LaunchMatvec<Q2_K>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q3_K>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q4_K>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q5_K>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Q6_K>(MatvecArgs, int, HipStream&);

}  // namespace forge
