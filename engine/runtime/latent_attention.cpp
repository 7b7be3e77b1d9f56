#include "engine/runtime/latent_attention.h"

namespace forge {
namespace {

Status NormInPlace(const StepContext& step, float* x, const float* weight, uint32_t dim) {
  return step.ops().rms_norm({.x = x,
                              .weight = weight,
                              .y = x,
                              .n_rows = step.n_tokens(),
                              .dim = static_cast<int>(dim),
                              .epsilon = step.config().rms_epsilon},
                             step.stream());
}

// Queries, or what they are products of, the latent and the elements of keys that are turned.
Status ProjectHidden(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const bool is_direct = step.config().latent.query_rank == 0;
  return step.Multiply(
      {.x = step.Floats(scratch.hidden),
       .norm = step.InputNormOf(weights.attn_norm, nullptr),
       .n_targets = 3,
       .targets = {{{.weight = is_direct ? weights.q : weights.query_latent,
                     .y = step.Floats(is_direct ? scratch.heads : scratch.query_latent)},
                    {.weight = weights.latent, .y = step.Floats(scratch.v)},
                    {.weight = weights.k, .y = step.Floats(scratch.turned_key)}}}});
}

Status ProjectQueryLatent(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const uint32_t rank = step.config().latent.query_rank;
  if (rank == 0) return Status();
  float* const latent = step.Floats(scratch.query_latent);
  FORGE_TRY(NormInPlace(step, latent, weights.query_latent_norm, rank));
  return step.Multiply({.x = latent,
                        .n_targets = 1,
                        .targets = {{{.weight = weights.q, .y = step.Floats(scratch.heads)}}}});
}

// Multiplies a row of each head of each token with the head's matrix. `is_again`: after the same
// for another matrix, with no experts between.
Status MultiplyHeads(const StepContext& step, const ExpertWeights& matrices, const float* x,
                     float* y, bool is_again) {
  const int n_rows = step.n_tokens() * static_cast<int>(step.config().n_heads);
  return step.ops().expert_matmul({.x = x,
                                   .n_x_rows = n_rows,
                                   .pairs_per_row = 1,
                                   .experts = step.Indices(step.scratch().head_ids),
                                   .n_targets = 1,
                                   .targets = {{{.weights = matrices, .y = y}}},
                                   .repeats_pairs = is_again,
                                   .workspace = step.WorkspaceOf(step.scratch().expert_workspace)},
                                  step.stream());
}

// Takes the elements of each head's query that are not turned through the head's matrix of keys,
// and puts those that are before them.
Status MakeQueries(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const int n_rows = step.n_tokens() * static_cast<int>(config.n_heads);
  const auto n_plain = static_cast<int>(config.latent.plain_dim);
  const auto n_turned = static_cast<int>(config.rope.dimension);
  const auto rank = static_cast<int>(config.latent.rank);
  const float* const heads = step.Floats(scratch.heads);
  float* const queries = step.Floats(scratch.q);
  float* const absorbed = step.Floats(scratch.attention);  // free until attention
  FORGE_TRY(step.ops().join_columns(
      {.first = {heads, n_plain + n_turned, n_plain}, .y = queries, .n_rows = n_rows},
      step.stream()));
  FORGE_TRY(MultiplyHeads(step, step.Layer(layer).head_keys, queries, absorbed, false));
  return step.ops().join_columns({.first = {heads + n_plain, n_plain + n_turned, n_turned},
                                  .second = {absorbed, rank, rank},
                                  .y = queries,
                                  .n_rows = n_rows},
                                 step.stream());
}

Status MakeKeys(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  const uint32_t rank = step.config().latent.rank;
  const auto n_turned = static_cast<int>(step.config().rope.dimension);
  float* const latent = step.Floats(scratch.v);
  FORGE_TRY(NormInPlace(step, latent, step.Layer(layer).latent_norm, rank));
  return step.ops().join_columns(
      {.first = {step.Floats(scratch.turned_key), n_turned, n_turned},
       .second = {latent, static_cast<int>(rank), static_cast<int>(rank)},
       .y = step.Floats(scratch.k),
       .n_rows = step.n_tokens()},
      step.stream());
}

}  // namespace

Status ProjectLatent(const StepContext& step, uint32_t layer) {
  FORGE_TRY(ProjectHidden(step, layer));
  FORGE_TRY(ProjectQueryLatent(step, layer));
  FORGE_TRY(MakeQueries(step, layer));
  return MakeKeys(step, layer);
}

Status MakeHeadValues(const StepContext& step, uint32_t layer) {
  const ScratchPlan& scratch = step.scratch();
  return MultiplyHeads(step, step.Layer(layer).head_values, step.Floats(scratch.attention),
                       step.Floats(scratch.heads), true);
}

}  // namespace forge
