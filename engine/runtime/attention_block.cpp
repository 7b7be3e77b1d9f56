#include "engine/runtime/attention_block.h"

namespace forge {
namespace {

Status Project(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  return step.ops().matmul(
      {.x = step.Floats(scratch.hidden),
       .n_tokens = step.n_tokens(),
       .norm = step.InputNormOf(weights.attn_norm),
       .n_targets = 3,
       .targets = {{{.weight = weights.q, .bias = weights.q_bias, .y = step.Floats(scratch.q)},
                    {.weight = weights.k, .bias = weights.k_bias, .y = step.Floats(scratch.k)},
                    {.weight = weights.v, .bias = weights.v_bias, .y = step.Floats(scratch.v)}}},
       .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
      step.stream());
}

// Makes queries, keys and values ready and keeps the latter two.
Status Append(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const RopeConfig& rope = config.RopeOf(layer);
  return step.ops().rope_append({.batch = step.BatchOf(layer),
                                 .cache = step.model().KvLayer(layer),
                                 .queries = step.Floats(scratch.q),
                                 .keys = step.Floats(scratch.k),
                                 .values = step.Floats(scratch.v),
                                 .n_heads = static_cast<int>(config.n_heads),
                                 .query_norm = weights.q_norm,
                                 .key_norm = weights.k_norm,
                                 .norm_epsilon = config.rms_epsilon,
                                 .rotation = {.frequencies = step.model().RopeFrequencies(layer),
                                              .rotary_dim = static_cast<int>(rope.dimension),
                                              .halves = rope.layout == RopeLayout::kHalves,
                                              .scale = step.model().rope_table(layer).scale}},
                                step.stream());
}

Status Attend(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  return step.ops().attention(
      {.batch = step.BatchOf(layer),
       .cache = step.model().KvLayer(layer),
       .q = step.Floats(scratch.q),
       .y = step.Floats(scratch.attention),
       .n_heads = static_cast<int>(config.n_heads),
       .scale = static_cast<float>(config.attention_scale),
       .soft_cap = static_cast<float>(config.attention_soft_cap),
       .window = static_cast<int>(config.HasWindow(layer) ? config.window : 0),
       .sinks = step.Layer(layer).sinks,
       .workspace = step.WorkspaceOf(scratch.attention_workspace)},
      step.stream());
}

}  // namespace

Status RunAttention(const StepContext& step, uint32_t layer) {
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(Project(step, layer));
  FORGE_TRY(Append(step, layer));
  FORGE_TRY(Attend(step, layer));
  return step.AddProjected(step.Floats(step.scratch().attention), weights.attn_output,
                           weights.attn_output_bias, weights.attn_post_norm);
}

}  // namespace forge
