#include "engine/runtime/expert_block.h"

#include "engine/runtime/feed_forward_block.h"

namespace forge {
namespace {

ExpertGate GateOf(ExpertGating gating) {
  switch (gating) {
    case ExpertGating::kSoftmaxOfChosen:
      return ExpertGate::kTopKThenSoftmax;
    case ExpertGating::kSigmoid:
      return ExpertGate::kSigmoid;
    case ExpertGating::kSoftmaxOfAll:
      break;
  }
  return ExpertGate::kSoftmaxThenTopK;
}

// Chooses the experts of each token by the rows x, which may be normalised before.
Status Route(const StepContext& step, uint32_t layer, const float* x, const InputNorm& norm) {
  const ExpertConfig& experts = step.config().experts;
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const logits = step.Floats(scratch.router_logits);
  FORGE_TRY(step.Multiply(
      {.x = x,
       .norm = norm,
       .n_targets = 1,
       .targets = {{{.weight = weights.router, .bias = weights.router_bias, .y = logits}}}}));
  return step.ops().route_experts({.logits = logits,
                                   .selection_bias = weights.selection_bias,
                                   .n_tokens = step.n_tokens(),
                                   .n_experts = static_cast<int>(experts.count),
                                   .n_used = static_cast<int>(experts.used),
                                   .n_groups = static_cast<int>(experts.n_groups),
                                   .n_groups_used = static_cast<int>(experts.n_groups_used),
                                   .gate = GateOf(experts.gating),
                                   .normalize = experts.normalizes_weights,
                                   .scale = static_cast<float>(experts.weight_scale),
                                   .expert_scales = weights.expert_scales,
                                   .experts = step.Indices(scratch.expert_ids),
                                   .weights = step.Floats(scratch.expert_weights)},
                                  step.stream());
}

// What the chosen experts make of each token, one row for each pair of the two.
Status MultiplyExperts(const StepContext& step, uint32_t layer) {
  const ExpertConfig& experts = step.config().experts;
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const bool has_gate = step.config().has_gate;
  float* const made = step.Floats(scratch.gate);  // what the last matrices take
  const ExpertMatmulTarget gate = {
      .weights = weights.expert_gate, .bias = weights.expert_gate_bias, .y = made};
  const ExpertMatmulTarget up = {.weights = weights.expert_up,
                                 .bias = weights.expert_up_bias,
                                 .y = has_gate ? step.Floats(scratch.up) : made};
  const int n_used = static_cast<int>(experts.used);
  const int n_pairs = step.n_tokens() * n_used;
  FORGE_TRY(step.ops().expert_matmul(
      {.x = step.Floats(scratch.normed),
       .n_x_rows = step.n_tokens(),
       .pairs_per_row = n_used,
       .experts = step.Indices(scratch.expert_ids),
       .n_targets = has_gate ? 2 : 1,
       .targets = {{has_gate ? gate : up, has_gate ? up : ExpertMatmulTarget()}},
       .activation = ActivationOf(step.config()),
       .workspace = step.WorkspaceOf(scratch.expert_workspace)},
      step.stream()));
  return step.ops().expert_matmul({.x = made,
                                   .n_x_rows = n_pairs,
                                   .pairs_per_row = 1,
                                   .experts = step.Indices(scratch.expert_ids),
                                   .n_targets = 1,
                                   .targets = {{{.weights = weights.expert_down,
                                                 .bias = weights.expert_down_bias,
                                                 .y = step.Floats(scratch.expert_out)}}},
                                   .repeats_pairs = true,
                                   .workspace = step.WorkspaceOf(scratch.expert_workspace)},
                                  step.stream());
}

// The shared expert's answer and, where it has a gate of its own, the logit of that.
Status MultiplyShared(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  if (step.config().experts.has_shared_gate)
    FORGE_TRY(step.Multiply(
        {.x = step.Floats(scratch.normed),
         .n_targets = 1,
         .targets = {{{.weight = weights.shared_router, .y = step.Floats(scratch.shared_gate)}}}}));
  FORGE_TRY(RunFirstProducts(step, step.Floats(scratch.normed), {},
                             {.gate = weights.shared_gate, .up = weights.shared_up}));
  return step.Multiply(
      {.x = step.Floats(scratch.gate),
       .n_targets = 1,
       .targets = {{{.weight = weights.shared_down, .y = step.Floats(scratch.shared_out)}}}});
}

// What the dense net beside experts makes of `hidden`, normalised, into shared_out.
Status RunDenseBeside(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const made = step.Floats(scratch.shared_out);
  FORGE_TRY(RunFirstProducts(step, layer));
  FORGE_TRY(step.Multiply({.x = step.Floats(scratch.gate),
                           .n_targets = 1,
                           .targets = {{{.weight = weights.down, .y = made}}}}));
  return step.ops().rms_norm({.x = made,
                              .weight = weights.ffn_made_norm,
                              .y = made,
                              .n_rows = step.n_tokens(),
                              .dim = static_cast<int>(step.config().n_embd),
                              .epsilon = step.config().rms_epsilon},
                             step.stream());
}

// `normed` = the sum of what the chosen experts made of each token, by their weights.
Status SumExperts(const StepContext& step) {
  const ScratchPlan& scratch = step.scratch();
  return step.ops().combine_experts({.x = step.Floats(scratch.expert_out),
                                     .weights = step.Floats(scratch.expert_weights),
                                     .y = step.Floats(scratch.normed),
                                     .n_tokens = step.n_tokens(),
                                     .n_used = static_cast<int>(step.config().experts.used),
                                     .dim = static_cast<int>(step.config().n_embd)},
                                    step.stream());
}

}  // namespace

Status RunExpertsBesideDense(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const hidden = step.Floats(scratch.hidden);
  float* const normed = step.Floats(scratch.normed);
  FORGE_TRY(RunDenseBeside(step, layer));
  FORGE_TRY(Route(step, layer, hidden, step.InputNormOf(weights.router_norm, nullptr)));
  FORGE_TRY(step.Norm(weights.expert_norm, nullptr, hidden, normed, step.n_tokens()));
  FORGE_TRY(MultiplyExperts(step, layer));
  FORGE_TRY(SumExperts(step));
  FORGE_TRY(step.ops().rms_norm({.x = normed,
                                 .weight = weights.expert_made_norm,
                                 .residual = step.Floats(scratch.shared_out),
                                 .y = normed,
                                 .n_rows = step.n_tokens(),
                                 .dim = static_cast<int>(step.config().n_embd),
                                 .epsilon = step.config().rms_epsilon},
                                step.stream()));
  return step.AddNormed(weights.ffn_post_norm, ScaleAfterNet(step, layer));
}

Status RunExperts(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const float* const post_norm = step.Layer(layer).ffn_post_norm;
  const bool has_shared = config.experts.n_shared_ff != 0;
  const bool gates_shared = has_shared && config.experts.has_shared_gate;
  // Router, experts and the shared expert all take the normalised tokens.
  FORGE_TRY(step.Norm(step.Layer(layer).ffn_norm, step.Layer(layer).ffn_norm_bias,
                      step.Floats(scratch.hidden), step.Floats(scratch.normed), step.n_tokens()));
  FORGE_TRY(Route(step, layer, step.Floats(scratch.normed), {}));
  if (has_shared) FORGE_TRY(MultiplyShared(step, layer));
  FORGE_TRY(MultiplyExperts(step, layer));
  float* const hidden = step.Floats(scratch.hidden);
  FORGE_TRY(step.ops().combine_experts(
      {.x = step.Floats(scratch.expert_out),
       .weights = step.Floats(scratch.expert_weights),
       .shared = has_shared ? step.Floats(scratch.shared_out) : nullptr,
       .shared_gate = gates_shared ? step.Floats(scratch.shared_gate) : nullptr,
       .residual = post_norm == nullptr ? hidden : nullptr,
       .y = post_norm == nullptr ? hidden : step.Floats(scratch.normed),
       .n_tokens = step.n_tokens(),
       .n_used = static_cast<int>(config.experts.used),
       .dim = static_cast<int>(config.n_embd)},
      step.stream()));
  return post_norm == nullptr ? Status() : step.AddNormed(post_norm);
}

}  // namespace forge
