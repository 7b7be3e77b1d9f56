#pragma once

#include "kernels/api/sigmoid_gate.h"
#include "kernels/api/stream.h"

namespace forge {

Status HipSigmoidGate(const SigmoidGateArgs& args, Stream& stream);

}  // namespace forge
