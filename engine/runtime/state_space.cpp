#include "engine/runtime/state_space.h"

#include "engine/runtime/recurrent_layer.h"

namespace forge {
namespace {

// What is convolved, the gates of what comes of it, and the heads' steps.
Status Project(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  return step.Multiply(
      {.x = step.Floats(scratch.hidden),
       .norm = step.InputNormOf(weights.attn_norm, weights.attn_norm_bias),
       .n_targets = 3,
       .targets = {{{.weight = weights.mixed, .y = step.Floats(scratch.mixed)},
                    {.weight = weights.mixer_gate, .y = step.Floats(scratch.mixer_gate)},
                    {.weight = weights.mixer_alpha, .y = step.Floats(scratch.mixer_alpha)}}}});
}

// Over all heads of a group together.
Status NormGroups(const StepContext& step, uint32_t layer) {
  const StateSpaceConfig& space = step.config().state_space;
  float* const y = step.Floats(step.scratch().mixer_gate);
  const auto n_groups = static_cast<int>(space.n_groups);
  return step.ops().rms_norm({.x = y,
                              .weight = step.Layer(layer).mixer_norm,
                              .y = y,
                              .n_rows = step.n_tokens() * n_groups,
                              .dim = static_cast<int>(space.n_rows() / space.n_groups),
                              .n_weight_rows = n_groups,
                              .epsilon = step.config().rms_epsilon},
                             step.stream());
}

}  // namespace

Status RunStateSpace(const StepContext& step, uint32_t layer) {
  const StateSpaceConfig& space = step.config().state_space;
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(Project(step, layer));
  FORGE_TRY(step.ops().causal_conv(ConvolutionOf(step, layer), step.stream()));
  FORGE_TRY(step.ops().state_space({.batch = step.BatchOf(layer),
                                    .state = step.WithStepOf(step.model().HeadState(layer)),
                                    .xbc = step.Floats(scratch.convolved),
                                    .gate = step.Floats(scratch.mixer_gate),
                                    .step = step.Floats(scratch.mixer_alpha),
                                    .step_bias = weights.mixer_alpha_bias,
                                    .decay = weights.mixer_decay,
                                    .skip = weights.mixer_skip,
                                    .y = step.Floats(scratch.mixer_gate),
                                    .n_heads = static_cast<int>(space.n_heads),
                                    .n_groups = static_cast<int>(space.n_groups),
                                    .head_dim = static_cast<int>(space.head_dim),
                                    .state_dim = static_cast<int>(space.state_dim)},
                                   step.stream()));
  return NormGroups(step, layer);
}

}  // namespace forge
