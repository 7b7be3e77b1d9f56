#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// Makes the inputs that each layer has of each token of the step, in layer_inputs, of the token and
// of its embedding in `hidden`. Nothing where the model has none.
Status MakeLayerInputs(const StepContext& step);

// hidden += what the layer makes of its input; then the layer's scale. Nothing where there is none.
Status AddLayerInput(const StepContext& step, uint32_t layer);

}  // namespace forge
