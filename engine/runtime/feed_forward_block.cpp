#include "engine/runtime/feed_forward_block.h"

#include "engine/runtime/expert_block.h"

namespace forge {
namespace {

Status RunDense(const StepContext& step, uint32_t layer) {
  const LayerWeights& weights = step.Layer(layer);
  const ScratchPlan& scratch = step.scratch();
  FORGE_TRY(RunGatedProducts(step, step.Floats(scratch.hidden), step.InputNormOf(weights.ffn_norm),
                             {.gate = weights.gate,
                              .up = weights.up,
                              .gate_bias = weights.gate_bias,
                              .up_bias = weights.up_bias}));
  return step.AddProjected(step.Floats(scratch.gate), weights.down, weights.down_bias,
                           weights.ffn_post_norm);
}

}  // namespace

Activation ActivationOf(const ModelConfig& config) {
  switch (config.activation) {
    case GateActivation::kGelu:
      return Activation::kGeluTanh;
    case GateActivation::kClampedSwiglu:
      return Activation::kSwigluClamped;
    case GateActivation::kSilu:
      break;
  }
  return Activation::kSilu;
}

Status RunGatedProducts(const StepContext& step, const float* x, const InputNorm& norm,
                        const GateAndUp& weights) {
  const ScratchPlan& scratch = step.scratch();
  return step.ops().matmul(
      {.x = x,
       .n_tokens = step.n_tokens(),
       .norm = norm,
       .n_targets = 2,
       .targets =
           {{{.weight = weights.gate, .bias = weights.gate_bias, .y = step.Floats(scratch.gate)},
             {.weight = weights.up, .bias = weights.up_bias, .y = step.Floats(scratch.up)}}},
       .activation = ActivationOf(step.config()),
       .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
      step.stream());
}

Status RunFeedForward(const StepContext& step, uint32_t layer) {
  return step.config().HasExperts(layer) ? RunExperts(step, layer) : RunDense(step, layer);
}

}  // namespace forge
