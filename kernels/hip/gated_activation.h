#pragma once

#include "kernels/api/gated_activation.h"
#include "kernels/api/stream.h"

namespace forge {

// See GatedActivationArgs.
Status HipGatedActivation(const GatedActivationArgs& args, Stream& stream);

}  // namespace forge
