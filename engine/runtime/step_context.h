#pragma once

#include <vector>

#include "engine/model/model.h"
#include "kernels/api/device.h"

namespace forge {

// The arrays that describe a step, in the model's scratch memory.
struct StepIndices {
  const int32_t* tokens = nullptr;
  const int32_t* logit_rows = nullptr;  // the tokens that CountLastRows counts
  const float* query_scales = nullptr;  // of each token; null where ScratchPlan scales no queries
  // Of each token, in encoders only:
  const int32_t* last_seen = nullptr;    // as AttentionArgs has it
  const int32_t* token_types = nullptr;  // all 0
  const float* ones = nullptr;
  // Of each sequence, in models with recurrent layers only, as RecurrentState has them:
  const int32_t* state_from = nullptr;
  const int32_t* state_to = nullptr;
  const int32_t* state_kept_after = nullptr;
  const int32_t* state_kept_to = nullptr;
  std::vector<RaggedBatch> batches;  // of each KvGroup, differing in their block tables only
};

// What the blocks of a forward pass share while a step runs: the model, and the step's batch in the
// model's scratch memory. Thread-compatible. Lifetime: model and stream must outlive it.
//
// `hidden` is the residual stream divided by the model's residual_scale, so that what blocks add
// needs no scaling: h / s + f instead of h + s f. All that reads `hidden` is a norm, which gives
// the same of both if its epsilon is divided by s^2.
class StepContext {
 public:
  StepContext(const Model& model, Stream& stream, StepIndices indices)
      : model_(model), stream_(stream), indices_(std::move(indices)) {}

  const ModelConfig& config() const { return model_.config(); }
  const ScratchPlan& scratch() const { return model_.plan().scratch; }
  const LayerWeights& Layer(uint32_t layer) const { return model_.weights().layers[layer]; }
  const Model& model() const { return model_; }
  const OpTable& ops() const { return model_.device().ops(); }
  Stream& stream() const { return stream_; }

  const StepIndices& indices() const { return indices_; }
  int n_tokens() const { return indices_.batches.front().n_tokens; }
  // With the block tables of this layer's group.
  const RaggedBatch& BatchOf(uint32_t layer) const {
    return indices_.batches[model_.plan().kv.layers[layer].group];
  }

  // The slots of ConvState or HeadState with what this step does with them.
  RecurrentState WithStepOf(RecurrentState state) const;

  float* Floats(const ScratchSlot& slot) const { return model_.Scratch<float>(slot); }
  int32_t* Indices(const ScratchSlot& slot) const { return model_.Scratch<int32_t>(slot); }
  Workspace WorkspaceOf(const ScratchSlot& slot) const {
    return {model_.Scratch<void>(slot), slot.size_bytes};
  }

  bool HasLayerNorms() const { return config().norm == NormKind::kLayer; }
  // The norm of a product's input, rows of `hidden`; none if `weight` is null. Overwrites `normed`.
  // `bias` may be null.
  InputNorm InputNormOf(const float* weight, const float* bias) const {
    return {.weight = weight,
            .epsilon = HiddenEpsilon(),
            .scratch = Floats(scratch().normed),
            .is_centred = HasLayerNorms(),
            .bias = bias};
  }

  // The products of the step's tokens: the arguments but for how many these are, and the workspace.
  Status Multiply(MatmulArgs args) const;
  // y = norm(x) of rows of `hidden`. `bias` may be null.
  Status Norm(const float* weight, const float* bias, const float* x, float* y, int n_rows) const;
  // hidden += x W^T + bias, through a norm of its own where `post_norm` is one. Overwrites `normed`
  // in that case. `bias` may be null. `scale`: see AddNormed; without a norm it must be null.
  Status AddProjected(const float* x, const WeightView& weight, const float* bias,
                      const float* post_norm, const float* scale = nullptr) const;
  // hidden = norm(hidden), where `weight` is one. `bias` may be null.
  Status NormSum(const float* weight, const float* bias) const;
  // hidden += norm(normed), then times `scale`, one number, unless that is null.
  Status AddNormed(const float* weight, const float* scale = nullptr) const;

 private:
  float HiddenEpsilon() const;

  const Model& model_;
  Stream& stream_;
  const StepIndices indices_;
};

}  // namespace forge
