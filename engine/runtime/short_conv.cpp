#include "engine/runtime/short_conv.h"

#include "engine/runtime/recurrent_layer.h"

namespace forge {

Status RunShortConv(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const x = step.Floats(scratch.mixed);
  float* const x_gate = step.Floats(scratch.convolved);
  float* const y_gate = step.Floats(scratch.mixer_gate);
  FORGE_TRY(step.Multiply({.x = step.Floats(scratch.hidden),
                           .norm = step.InputNormOf(weights.attn_norm, weights.attn_norm_bias),
                           .n_targets = 3,
                           .targets = {{{.weight = weights.mixed, .y = x},
                                        {.weight = weights.mixed_gate, .y = x_gate},
                                        {.weight = weights.mixer_gate, .y = y_gate}}}}));
  CausalConvArgs convolution = ConvolutionOf(step, layer);
  convolution.x_gate = x_gate;
  convolution.y_gate = convolution.y = y_gate;
  return step.ops().causal_conv(convolution, step.stream());
}

}  // namespace forge
