#include "engine/runtime/attention_block.h"

#include "engine/runtime/latent_attention.h"
#include "engine/runtime/recurrent_layer.h"

namespace forge {
namespace {

Status Project(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  return step.Multiply(
      {.x = step.Floats(scratch.hidden),
       .norm = step.InputNormOf(weights.attn_norm, weights.attn_norm_bias),
       .n_targets = step.config().ProjectionsOf(layer),
       .targets = {{{.weight = weights.q,
                     .bias = weights.q_bias,
                     .y = step.Floats(step.config().gates_heads ? scratch.heads : scratch.q)},
                    {.weight = weights.k, .bias = weights.k_bias, .y = step.Floats(scratch.k)},
                    {.weight = weights.v, .bias = weights.v_bias, .y = step.Floats(scratch.v)}}}});
}

// The queries of heads that have gates behind them.
Status TakeQueries(const StepContext& step) {
  const ModelConfig& config = step.config();
  if (!config.gates_heads) return Status();
  const auto head_dim = static_cast<int>(config.head_dim);
  return step.ops().join_columns(
      {.first = {step.Floats(step.scratch().heads), 2 * head_dim, head_dim},
       .y = step.Floats(step.scratch().q),
       .n_rows = step.n_tokens() * static_cast<int>(config.n_heads)},
      step.stream());
}

// Multiplies what attention gives by the heads' gates, if they have any.
Status GateHeads(const StepContext& step) {
  const ModelConfig& config = step.config();
  if (!config.gates_heads) return Status();
  const auto head_dim = static_cast<int>(config.head_dim);
  float* const attention = step.Floats(step.scratch().attention);
  return step.ops().sigmoid_gate(
      {.x = attention,
       .gate = {step.Floats(step.scratch().heads) + head_dim, 2 * head_dim, head_dim},
       .y = attention,
       .n_rows = step.n_tokens() * static_cast<int>(config.n_heads)},
      step.stream());
}

// The norms of heads' values, if the model has them; values that are keys are these before theirs.
Status NormValues(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  if (!config.norms_values || !config.HasOwnKv(layer)) return Status();
  const ScratchPlan& scratch = step.scratch();
  const HeadShape heads = config.HeadsOf(layer);
  return step.ops().rms_norm(
      {.x = step.Floats(config.ProjectsValues(layer) ? scratch.v : scratch.k),
       .y = step.Floats(scratch.v),
       .n_rows = step.n_tokens() * static_cast<int>(heads.n_kv_heads),
       .dim = static_cast<int>(heads.value_dim),
       .epsilon = config.rms_epsilon},
      step.stream());
}

Status NormRows(const StepContext& step, float* x, const float* weight, uint32_t dim) {
  return step.ops().rms_norm({.x = x,
                              .weight = weight,
                              .y = x,
                              .n_rows = step.n_tokens(),
                              .dim = static_cast<int>(dim),
                              .epsilon = step.config().rms_epsilon,
                              .is_centred = step.HasLayerNorms()},
                             step.stream());
}

// The norms of whole projections, if the model has them.
Status NormProjections(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  if (config.qk_norm != QkNorm::kProjection) return Status();
  const LayerWeights& weights = step.Layer(layer);
  FORGE_TRY(
      NormRows(step, step.Floats(step.scratch().q), weights.q_norm, config.QueryRowsOf(layer)));
  return NormRows(step, step.Floats(step.scratch().k), weights.k_norm,
                  config.HeadsOf(layer).k_rows());
}

// Makes queries, keys and values ready and keeps the latter two, where the layer has its own.
Status Append(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const bool norms_heads = config.NormsHeads();
  const bool halves = config.RopeOf(layer).layout == RopeLayout::kHalves;
  return step.ops().rope_append(
      {.batch = step.BatchOf(layer),
       .cache = step.model().KvLayer(layer),
       .queries = step.Floats(scratch.q),
       .keys = config.HasOwnKv(layer) ? step.Floats(scratch.k) : nullptr,
       .values = step.Floats(scratch.v),
       .n_heads = static_cast<int>(config.n_heads),
       .query_norm = norms_heads ? weights.q_norm : nullptr,
       .key_norm = norms_heads ? weights.k_norm : nullptr,
       .norm_epsilon = config.rms_epsilon,
       .heads_differ = config.qk_norm == QkNorm::kOwnHead,
       .centres_heads = step.HasLayerNorms(),
       .turns_first = config.turns_before_norm,
       .rotation = {.frequencies = step.model().RopeFrequencies(layer),
                    .rotary_dim = static_cast<int>(config.RotaryDimOf(layer)),
                    .halves = halves,
                    .scale = step.model().rope_table(layer).scale}},
      step.stream());
}

// Multiplies each token's queries by a number of its own, if the model's grow with their position.
Status ScaleQueries(const StepContext& step, uint32_t layer) {
  if (step.indices().query_scales == nullptr) return Status();
  float* const queries = step.Floats(step.scratch().q);
  return step.ops().combine_experts({.x = queries,
                                     .weights = step.indices().query_scales,
                                     .y = queries,
                                     .n_tokens = step.n_tokens(),
                                     .n_used = 1,
                                     .dim = static_cast<int>(step.config().QueryRowsOf(layer))},
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
       .last_seen = step.indices().last_seen,
       .sinks = step.Layer(layer).sinks,
       .workspace = step.WorkspaceOf(scratch.attention_workspace)},
      step.stream());
}

}  // namespace

Status RunHeads(const StepContext& step, uint32_t layer) {
  if (step.config().IsRecurrent(layer)) return RunRecurrentLayer(step, layer);
  const bool has_latent = step.config().has_latent();
  if (has_latent) {
    FORGE_TRY(ProjectLatent(step, layer));
  } else {
    FORGE_TRY(Project(step, layer));
    FORGE_TRY(TakeQueries(step));
    FORGE_TRY(NormProjections(step, layer));
    FORGE_TRY(NormValues(step, layer));
  }
  FORGE_TRY(Append(step, layer));
  FORGE_TRY(ScaleQueries(step, layer));
  FORGE_TRY(Attend(step, layer));
  FORGE_TRY(GateHeads(step));
  return has_latent ? MakeHeadValues(step, layer) : Status();
}

Status AddAttention(const StepContext& step, uint32_t layer) {
  const LayerWeights& weights = step.Layer(layer);
  const ScratchPlan& scratch = step.scratch();
  const ScratchSlot& heads = step.config().IsRecurrent(layer) ? scratch.mixer_gate
                             : step.config().has_latent()     ? scratch.heads
                                                              : scratch.attention;
  FORGE_TRY(step.AddProjected(step.Floats(heads), weights.attn_output, weights.attn_output_bias,
                              weights.attn_post_norm));
  return step.NormSum(weights.attn_sum_norm, weights.attn_sum_norm_bias);
}

}  // namespace forge
