#pragma once

#include <vector>

#include "engine/model/model.h"
#include "kernels/api/device.h"

namespace forge {

// What the blocks of a forward pass share while a step runs: the model, and the step's batch in the
// model's scratch memory. Thread-compatible. Lifetime: model and stream must outlive it.
//
// `hidden` is the residual stream divided by the model's residual_scale, so that what blocks add
// needs no scaling: h / s + f instead of h + s f. All that reads `hidden` is a norm, which gives
// the same of both if its epsilon is divided by s^2.
class StepContext {
 public:
  // `batches`: of each KvGroup, differing in their block tables only.
  StepContext(const Model& model, Stream& stream, std::vector<RaggedBatch> batches)
      : model_(model), stream_(stream), batches_(std::move(batches)) {}

  const ModelConfig& config() const { return model_.config(); }
  const ScratchPlan& scratch() const { return model_.plan().scratch; }
  const LayerWeights& Layer(uint32_t layer) const { return model_.weights().layers[layer]; }
  const Model& model() const { return model_; }
  const OpTable& ops() const { return model_.device().ops(); }
  Stream& stream() const { return stream_; }

  int n_tokens() const { return batches_.front().n_tokens; }
  // With the block tables of this layer's group.
  const RaggedBatch& BatchOf(uint32_t layer) const {
    return batches_[model_.plan().kv.layers[layer].group];
  }

  float* Floats(const ScratchSlot& slot) const { return model_.Scratch<float>(slot); }
  int32_t* Indices(const ScratchSlot& slot) const { return model_.Scratch<int32_t>(slot); }
  Workspace WorkspaceOf(const ScratchSlot& slot) const {
    return {model_.Scratch<void>(slot), slot.size_bytes};
  }

  // The norm of a product's input, rows of `hidden`; none if `weight` is null. Overwrites `normed`.
  InputNorm InputNormOf(const float* weight) const {
    return {.weight = weight, .epsilon = HiddenEpsilon(), .scratch = Floats(scratch().normed)};
  }

  // y = norm(x) of rows of `hidden`.
  Status Norm(const float* weight, const float* x, float* y, int n_rows) const;
  // hidden += x W^T + bias, through a norm of its own where `post_norm` is one. Overwrites `normed`
  // in that case. `bias` may be null.
  Status AddProjected(const float* x, const WeightView& weight, const float* bias,
                      const float* post_norm) const;
  // hidden += norm(normed).
  Status AddNormed(const float* weight) const;

 private:
  float HiddenEpsilon() const;

  const Model& model_;
  Stream& stream_;
  const std::vector<RaggedBatch> batches_;
};

}  // namespace forge
