#include "engine/runtime/feed_forward_block.h"

#include "engine/runtime/expert_block.h"

namespace forge {
namespace {

Status RunDense(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(RunGatedProducts(step, weights.gate, weights.up));
  return step.AddProjected(step.Floats(scratch.gate), weights.down, nullptr, weights.ffn_post_norm);
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

Status RunGatedProducts(const StepContext& step, const WeightView& gate, const WeightView& up) {
  const ScratchPlan& scratch = step.scratch();
  float* const gate_y = step.Floats(scratch.gate);
  float* const up_y = step.Floats(scratch.up);
  FORGE_TRY(
      step.ops().matmul({.x = step.Floats(scratch.normed),
                         .n_tokens = step.n_tokens(),
                         .n_targets = 2,
                         .targets = {{{.weight = gate, .y = gate_y}, {.weight = up, .y = up_y}}},
                         .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
                        step.stream()));
  return step.ops().gated_activation({.activation = ActivationOf(step.config()),
                                      .gate = gate_y,
                                      .up = up_y,
                                      .y = gate_y,
                                      .n = step.n_tokens() * gate.shape.n_rows},
                                     step.stream());
}

Status RunFeedForward(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  FORGE_TRY(step.Norm(step.Layer(layer).ffn_norm, step.Floats(scratch.hidden),
                      step.Floats(scratch.normed), step.n_tokens()));
  return step.config().experts.count != 0 ? RunExperts(step, layer) : RunDense(step, layer);
}

}  // namespace forge
