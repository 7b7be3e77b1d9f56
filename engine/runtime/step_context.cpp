#include "engine/runtime/step_context.h"

#include "kernels/base/check.h"

namespace forge {

float StepContext::HiddenEpsilon() const {
  const double scale = config().residual_scale;
  return static_cast<float>(config().rms_epsilon / (scale * scale));
}

RecurrentState StepContext::WithStepOf(RecurrentState state) const {
  state.from = indices_.state_from;
  state.to = indices_.state_to;
  state.kept_after = indices_.state_kept_after;
  state.kept_to = indices_.state_kept_to;
  return state;
}

Status StepContext::Multiply(MatmulArgs args) const {
  args.n_tokens = n_tokens();
  args.n_prompt_tokens = indices_.batches.front().n_prompt_tokens;
  args.workspace = WorkspaceOf(scratch().matmul_workspace);
  return ops().matmul(args, stream_);
}

Status StepContext::Norm(const float* weight, const float* bias, const float* x, float* y,
                         int n_rows) const {
  return ops().rms_norm({.x = x,
                         .weight = weight,
                         .y = y,
                         .n_rows = n_rows,
                         .dim = static_cast<int>(config().n_embd),
                         .epsilon = HiddenEpsilon(),
                         .is_centred = HasLayerNorms(),
                         .bias = bias},
                        stream_);
}

Status StepContext::NormSum(const float* weight, const float* bias) const {
  if (weight == nullptr) return Status();
  float* const hidden = Floats(scratch().hidden);
  return Norm(weight, bias, hidden, hidden, n_tokens());
}

Status StepContext::AddNormed(const float* weight, const float* scale) const {
  float* const hidden = Floats(scratch().hidden);
  return ops().rms_norm({.x = Floats(scratch().normed),
                         .weight = weight,
                         .residual = hidden,
                         .y = hidden,
                         .n_rows = n_tokens(),
                         .dim = static_cast<int>(config().n_embd),
                         .epsilon = config().rms_epsilon,
                         .is_centred = HasLayerNorms(),
                         .sum_scale = scale},
                        stream_);
}

Status StepContext::AddProjected(const float* x, const WeightView& weight, const float* bias,
                                 const float* post_norm, const float* scale) const {
  float* const hidden = Floats(scratch().hidden);
  const bool is_direct = post_norm == nullptr;
  FORGE_CHECK(!is_direct || scale == nullptr, "a scale comes with a norm");
  FORGE_TRY(Multiply({.x = x,
                      .n_targets = 1,
                      .targets = {{{.weight = weight,
                                    .bias = bias,
                                    .residual = is_direct ? hidden : nullptr,
                                    .y = is_direct ? hidden : Floats(scratch().normed)}}}}));
  return is_direct ? Status() : AddNormed(post_norm, scale);
}

}  // namespace forge
