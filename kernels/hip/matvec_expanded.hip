#include "kernels/hip/matvec_kernel.h"

namespace forge {

template Status LaunchMatvec<IQ2_XXS>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ2_XS>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ2_S>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ3_XXS>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ3_S>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ1_S>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<IQ1_M>(MatvecArgs, int, HipStream&);
template Status LaunchMatvec<TQ1_0>(MatvecArgs, int, HipStream&);

}  // namespace forge
