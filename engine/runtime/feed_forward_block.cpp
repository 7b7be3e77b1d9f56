#include "engine/runtime/feed_forward_block.h"

#include "engine/runtime/expert_block.h"

namespace forge {

Activation ActivationOf(const ModelConfig& config) {
  switch (config.activation) {
    case GateActivation::kGelu:
      return Activation::kGeluTanh;
    case GateActivation::kClampedSwiglu:
      return Activation::kSwigluClamped;
    case GateActivation::kReluSquared:
      return Activation::kReluSquared;
    case GateActivation::kSilu:
      break;
  }
  return Activation::kSilu;
}

Status RunFirstProducts(const StepContext& step, const float* x, const InputNorm& norm,
                        const GateAndUp& weights) {
  const ScratchPlan& scratch = step.scratch();
  const bool has_gate = step.config().has_gate;
  const MatmulTarget gate = {
      .weight = weights.gate, .bias = weights.gate_bias, .y = step.Floats(scratch.gate)};
  const MatmulTarget up = {.weight = weights.up,
                           .bias = weights.up_bias,
                           .y = step.Floats(has_gate ? scratch.up : scratch.gate)};
  return step.Multiply({.x = x,
                        .norm = norm,
                        .n_targets = has_gate ? 2 : 1,
                        .targets = {{has_gate ? gate : up, has_gate ? up : MatmulTarget()}},
                        .activation = ActivationOf(step.config())});
}

const float* ScaleAfterNet(const StepContext& step, uint32_t layer) {
  return step.config().HasLayerInputs() ? nullptr : step.Layer(layer).layer_scale;
}

Status RunFirstProducts(const StepContext& step, uint32_t layer) {
  const LayerWeights& weights = step.Layer(layer);
  return RunFirstProducts(step, step.Floats(step.scratch().hidden),
                          step.InputNormOf(weights.ffn_norm, weights.ffn_norm_bias),
                          {.gate = weights.gate,
                           .up = weights.up,
                           .gate_bias = weights.gate_bias,
                           .up_bias = weights.up_bias});
}

Status AddLastProduct(const StepContext& step, uint32_t layer) {
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(step.AddProjected(step.Floats(step.scratch().gate), weights.down, weights.down_bias,
                              weights.ffn_post_norm, ScaleAfterNet(step, layer)));
  return step.NormSum(weights.ffn_sum_norm, weights.ffn_sum_norm_bias);
}

Status RunFeedForward(const StepContext& step, uint32_t layer) {
  if (step.config().HasExperts(layer))
    return step.config().experts.has_dense_beside ? RunExpertsBesideDense(step, layer)
                                                  : RunExperts(step, layer);
  FORGE_TRY(RunFirstProducts(step, layer));
  return AddLastProduct(step, layer);
}

}  // namespace forge
