#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// What the heads of a recurrent layer make of `hidden`, into scratch().delta_gate; their state goes
// on by the step's tokens. Overwrites `normed` and the other delta_ buffers.
Status RunDeltaNet(const StepContext& step, uint32_t layer);

}  // namespace forge
