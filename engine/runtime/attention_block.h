#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// hidden += attention(norm(hidden)), and stores the step's keys and values in the cache.
Status RunAttention(const StepContext& step, uint32_t layer);

}  // namespace forge
