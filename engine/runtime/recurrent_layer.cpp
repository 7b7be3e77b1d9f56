#include "engine/runtime/recurrent_layer.h"

#include "engine/runtime/delta_net.h"
#include "engine/runtime/short_conv.h"
#include "engine/runtime/state_space.h"

namespace forge {

Status RunRecurrentLayer(const StepContext& step, uint32_t layer) {
  if (step.config().short_conv.n_taps != 0) return RunShortConv(step, layer);
  if (step.config().state_space.n_heads != 0) return RunStateSpace(step, layer);
  return RunDeltaNet(step, layer);
}

CausalConvArgs ConvolutionOf(const StepContext& step, uint32_t layer) {
  const RecurrentShape shape = step.config().recurrent_shape();
  const LayerWeights& weights = step.Layer(layer);
  return {.batch = step.BatchOf(layer),
          .state = step.WithStepOf(step.model().ConvState(layer)),
          .x = step.Floats(step.scratch().mixed),
          .weight = weights.conv,
          .bias = weights.conv_bias,
          .y = step.Floats(step.scratch().convolved),
          .n_channels = static_cast<int>(shape.n_channels),
          .n_taps = static_cast<int>(shape.n_taps)};
}

}  // namespace forge
