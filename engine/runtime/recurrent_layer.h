#pragma once

#include "engine/runtime/step_context.h"
#include "kernels/api/causal_conv.h"

namespace forge {

// What a recurrent layer makes of norm(hidden), into scratch().mixer_gate; its state goes on by the
// step's tokens. Overwrites `normed` and the other buffers of recurrent layers.
Status RunRecurrentLayer(const StepContext& step, uint32_t layer);

// convolved = silu(convolution(mixed)), with the layer's weights and its state.
CausalConvArgs ConvolutionOf(const StepContext& step, uint32_t layer);

}  // namespace forge
