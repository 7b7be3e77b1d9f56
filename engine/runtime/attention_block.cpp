#include "engine/runtime/attention_block.h"

#include <cmath>

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

Status Rotate(const StepContext& step, float* x, uint32_t n_heads) {
  const ModelConfig& config = step.config();
  return step.ops().rope({.x = x,
                          .positions = step.positions(),
                          .frequencies = step.Floats(step.scratch().rope_frequencies),
                          .n_tokens = step.n_tokens(),
                          .n_heads = static_cast<int>(n_heads),
                          .head_dim = static_cast<int>(config.head_dim),
                          .rotary_dim = static_cast<int>(config.rope.dimension),
                          .halves = config.rope.layout == RopeLayout::kHalves,
                          .scale = step.model().rope_table().scale},
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
       .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim))),
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
  FORGE_TRY(Rotate(step, step.Floats(scratch.q), config.n_heads));
  FORGE_TRY(Rotate(step, step.Floats(scratch.k), config.n_kv_heads));
  FORGE_TRY(Attend(step, layer));
  return step.ops().matmul({.x = step.Floats(scratch.attention),
                            .n_tokens = step.n_tokens(),
                            .n_targets = 1,
                            .targets = {{{.weight = weights.attn_output,
                                          .bias = weights.attn_output_bias,
                                          .residual = hidden,
                                          .y = hidden}}},
                            .workspace = step.WorkspaceOf(scratch.matmul_workspace)},
                           step.stream());
}

}  // namespace forge
