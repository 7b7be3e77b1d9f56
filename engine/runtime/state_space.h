#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// RunRecurrentLayer of a state space.
Status RunStateSpace(const StepContext& step, uint32_t layer);

}  // namespace forge
