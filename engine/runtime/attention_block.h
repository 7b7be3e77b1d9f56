#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// attention = what the heads make of norm(hidden), in the scratch of that name (of a recurrent
// layer in mixer_gate, of a latent in heads). Stores the step's keys and values in the cache, or
// what the layer remembers of the step in its slots.
Status RunHeads(const StepContext& step, uint32_t layer);

// hidden += attention, projected.
Status AddAttention(const StepContext& step, uint32_t layer);

}  // namespace forge
