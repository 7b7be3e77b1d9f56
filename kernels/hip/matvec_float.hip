#include "kernels/hip/matvec_kernel.h"

namespace forge {

template Status LaunchMatvec<F32Format>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<F16Format>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<Bf16Format>(MatvecArgs, int, HipStream&);

}  // namespace forge
