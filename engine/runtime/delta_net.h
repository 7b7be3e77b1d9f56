#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// RunRecurrentLayer of a delta net.
Status RunDeltaNet(const StepContext& step, uint32_t layer);

}  // namespace forge
