#include "engine/runtime/delta_net.h"

#include "engine/runtime/recurrent_layer.h"

namespace forge {
namespace {

// Queries, keys, values, and the gates of what comes of them.
Status ProjectMixed(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  return step.Multiply(
      {.x = step.Floats(scratch.hidden),
       .norm = step.InputNormOf(weights.attn_norm, weights.attn_norm_bias),
       .n_targets = 2,
       .targets = {{{.weight = weights.mixed, .y = step.Floats(scratch.mixed)},
                    {.weight = weights.mixer_gate, .y = step.Floats(scratch.mixer_gate)}}}});
}

// Of each key head the betas of its value heads come first, then their alphas.
Status SplitStrengths(const StepContext& step) {
  const DeltaNetConfig& net = step.config().delta_net;
  const ScratchPlan& scratch = step.scratch();
  const auto n_of_key = static_cast<int>(net.n_value_heads / net.n_key_heads);
  const int n_rows = step.n_tokens() * static_cast<int>(net.n_key_heads);
  const float* const strengths = step.Floats(scratch.delta_strengths);
  FORGE_TRY(step.ops().join_columns({.first = {strengths, 2 * n_of_key, n_of_key},
                                     .y = step.Floats(scratch.delta_beta),
                                     .n_rows = n_rows},
                                    step.stream()));
  return step.ops().join_columns({.first = {strengths + n_of_key, 2 * n_of_key, n_of_key},
                                  .y = step.Floats(scratch.mixer_alpha),
                                  .n_rows = n_rows},
                                 step.stream());
}

// How strongly each value head learns and forgets.
Status ProjectStrengths(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const bool is_fused = step.config().delta_net.has_fused_strengths;
  FORGE_TRY(step.Multiply(
      {.x = step.Floats(scratch.hidden),
       .norm = step.InputNormOf(weights.attn_norm, weights.attn_norm_bias),
       .n_targets = is_fused ? 1 : 2,
       .targets = {{{.weight = is_fused ? weights.delta_strengths : weights.delta_beta,
                     .y = step.Floats(is_fused ? scratch.delta_strengths : scratch.delta_beta)},
                    {.weight = weights.mixer_alpha, .y = step.Floats(scratch.mixer_alpha)}}}}));
  return is_fused ? SplitStrengths(step) : Status();
}

}  // namespace

Status RunDeltaNet(const StepContext& step, uint32_t layer) {
  const DeltaNetConfig& net = step.config().delta_net;
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(ProjectMixed(step, layer));
  FORGE_TRY(ProjectStrengths(step, layer));
  FORGE_TRY(step.ops().causal_conv(ConvolutionOf(step, layer), step.stream()));
  return step.ops().delta_rule({.batch = step.BatchOf(layer),
                                .state = step.WithStepOf(step.model().HeadState(layer)),
                                .qkv = step.Floats(scratch.convolved),
                                .gate = step.Floats(scratch.mixer_gate),
                                .alpha = step.Floats(scratch.mixer_alpha),
                                .beta = step.Floats(scratch.delta_beta),
                                .alpha_bias = weights.mixer_alpha_bias,
                                .decay = weights.mixer_decay,
                                .norm_weight = weights.mixer_norm,
                                .y = step.Floats(scratch.mixer_gate),
                                .n_key_heads = static_cast<int>(net.n_key_heads),
                                .n_value_heads = static_cast<int>(net.n_value_heads),
                                .head_dim = static_cast<int>(net.head_dim),
                                .spreads_key_heads = net.spreads_key_heads,
                                .epsilon = step.config().rms_epsilon},
                               step.stream());
}

}  // namespace forge
