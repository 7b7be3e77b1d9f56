#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// The parts of latent attention (LatentConfig) before and behind the attention that all models
// have.

// From norm(hidden) to queries, keys and values as the cache has them, in the scratch of that name;
// queries have passed the heads' matrices of keys, and nothing is turned yet.
Status ProjectLatent(const StepContext& step, uint32_t layer);

// heads = what the heads' matrices of values make of `attention`.
Status MakeHeadValues(const StepContext& step, uint32_t layer);

}  // namespace forge
