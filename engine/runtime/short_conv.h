#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// RunRecurrentLayer of a short convolution.
Status RunShortConv(const StepContext& step, uint32_t layer);

}  // namespace forge
