#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// hidden += experts(normed): each token's own few, weighed by the router, and the shared expert of
// a model that has one.
Status RunExperts(const StepContext& step, uint32_t layer);

// hidden += norm(norm(dense net) + norm(experts)), each of a norm of `hidden`; then the layer's
// scale.
Status RunExpertsBesideDense(const StepContext& step, uint32_t layer);

}  // namespace forge
