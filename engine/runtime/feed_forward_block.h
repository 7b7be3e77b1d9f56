#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// hidden += feed_forward(norm(hidden)).
Status RunFeedForward(const StepContext& step, uint32_t layer);

// The op's name of what the gates of this model go through.
Activation ActivationOf(const ModelConfig& config);

// gate = activation(n gate^T, n up^T) with n = norm(x), in the scratch of that name. Overwrites
// `up` and, if there is a norm, `normed`.
Status RunGatedProducts(const StepContext& step, const float* x, const InputNorm& norm,
                        const WeightView& gate, const WeightView& up);

}  // namespace forge
