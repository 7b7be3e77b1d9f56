#include "kernels/hip/matvec_kernel.h"

namespace forge {

template Status LaunchMatvec<IQ4_NL>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ4_XS>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<MXFP4>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<TQ2_0>(MatvecArgs, int, HipStream&);

}  // namespace forge
