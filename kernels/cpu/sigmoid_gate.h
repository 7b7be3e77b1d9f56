#pragma once

#include "kernels/api/sigmoid_gate.h"
#include "kernels/api/stream.h"

namespace forge {

Status CpuSigmoidGate(const SigmoidGateArgs& args, Stream& stream);

}  // namespace forge
