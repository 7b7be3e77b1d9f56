#include "engine/runtime/attention_block.h"

namespace forge {
namespace {

Status Project(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  return step.ops().matmul(
      {.x = step.Floats(scratch.normed),
       .n_tokens = step.n_tokens(),
       .n_targets = 3,
       .targets = {{{.weight = weights.q, .bias = weights.q_bias, .y = step.Floats(scratch.q)},
                    {.weight = weights.k, .bias = weights.k_bias, .y = step.Floats(scratch.k)},
                    {.weight = weights.v, .bias = weights.v_bias, .y = step.Floats(scratch.v)}}},
       .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
      step.stream());
}

// Each head is normalised by itself.
Status NormHeads(const StepContext& step, const float* weight, float* x, uint32_t n_heads) {
  return step.ops().rms_norm({.x = x,
                              .weight = weight,
                              .y = x,
                              .n_rows = step.n_tokens() * static_cast<int>(n_heads),
                              .dim = static_cast<int>(step.config().head_dim),
                              .epsilon = step.config().rms_epsilon},
                             step.stream());
}

Status Rotate(const StepContext& step, uint32_t layer, float* x, uint32_t n_heads) {
  const RopeConfig& rope = step.config().RopeOf(layer);
  return step.ops().rope({.x = x,
                          .positions = step.positions(),
                          .frequencies = step.model().RopeFrequencies(layer),
                          .n_tokens = step.n_tokens(),
                          .n_heads = static_cast<int>(n_heads),
                          .head_dim = static_cast<int>(step.config().head_dim),
                          .rotary_dim = static_cast<int>(rope.dimension),
                          .halves = rope.layout == RopeLayout::kHalves,
                          .scale = step.model().rope_table(layer).scale},
                         step.stream());
}

Status Attend(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const RaggedBatch& batch = step.BatchOf(layer);
  const KvLayerView cache = step.model().KvLayer(layer);
  FORGE_TRY(step.ops().kv_append({.batch = batch,
                                  .cache = cache,
                                  .keys = step.Floats(scratch.k),
                                  .values = step.Floats(scratch.v)},
                                 step.stream()));
  return step.ops().attention(
      {.batch = batch,
       .cache = cache,
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
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  float* const hidden = step.Floats(scratch.hidden);
  FORGE_TRY(step.Norm(weights.attn_norm, hidden, step.Floats(scratch.normed), step.n_tokens()));
  FORGE_TRY(Project(step, layer));
  float* const q = step.Floats(scratch.q);
  float* const k = step.Floats(scratch.k);
  if (config.has_qk_norm) {
    FORGE_TRY(NormHeads(step, weights.q_norm, q, config.n_heads));
    FORGE_TRY(NormHeads(step, weights.k_norm, k, config.n_kv_heads));
  }
  FORGE_TRY(Rotate(step, layer, q, config.n_heads));
  FORGE_TRY(Rotate(step, layer, k, config.n_kv_heads));
  FORGE_TRY(Attend(step, layer));
  return step.AddProjected(step.Floats(scratch.attention), weights.attn_output,
                           weights.attn_output_bias, weights.attn_post_norm);
}

}  // namespace forge
