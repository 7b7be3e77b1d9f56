#pragma once

#include <cstdint>

#include "kernels/api/activation.h"
#include "kernels/hip/hip_stream.h"

namespace forge {

// gate[i] = activation(gate[i], up[i]) for n elements, where the products before did not do it
// themselves; `up` may be null, for ones. REQUIRES: n is positive.
Status LaunchGatedActivation(Activation activation, float* gate, const float* up, int64_t n,
                             HipStream& stream);

}  // namespace forge
