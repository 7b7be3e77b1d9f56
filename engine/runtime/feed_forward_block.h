#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// hidden += feed_forward(norm(hidden)).
Status RunFeedForward(const StepContext& step, uint32_t layer);

}  // namespace forge
