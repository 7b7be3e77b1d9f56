#include "engine/runtime/feed_forward_block.h"

namespace forge {

Status RunFeedForward(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const hidden = step.Floats(scratch.hidden);
  float* const normed = step.Floats(scratch.normed);
  float* const gate = step.Floats(scratch.gate);
  float* const up = step.Floats(scratch.up);
  FORGE_TRY(step.Norm(weights.ffn_norm, hidden, normed, step.n_tokens()));
  FORGE_TRY(step.ops().matmul(
      {.x = normed,
       .n_tokens = step.n_tokens(),
       .n_targets = 2,
       .targets = {{{.weight = weights.gate, .y = gate}, {.weight = weights.up, .y = up}}},
       .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
      step.stream()));
  const int64_t n_values = int64_t{step.n_tokens()} * step.config().n_ff;
  FORGE_TRY(step.ops().gated_activation({.gate = gate, .up = up, .y = gate, .n = n_values},
                                        step.stream()));
  return step.ops().matmul(
      {.x = gate,
       .n_tokens = step.n_tokens(),
       .n_targets = 1,
       .targets = {{{.weight = weights.down, .residual = hidden, .y = hidden}}},
       .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
      step.stream());
}

}  // namespace forge
