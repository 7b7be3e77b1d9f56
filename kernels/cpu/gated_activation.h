#pragma once

#include "kernels/api/gated_activation.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuGatedActivation(const GatedActivationArgs& args, Stream& stream);

}  // namespace forge
