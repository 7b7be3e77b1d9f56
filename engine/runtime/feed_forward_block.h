#pragma once

#include "engine/runtime/step_context.h"

namespace forge {

// hidden += feed_forward(norm(hidden)).
Status RunFeedForward(const StepContext& step, uint32_t layer);

// The same of a dense net in two steps: what its last matrix takes, in the scratch `gate`, and the
// product with that. Between the two `hidden` may become another.
Status RunFirstProducts(const StepContext& step, uint32_t layer);
Status AddLastProduct(const StepContext& step, uint32_t layer);

// What all of `hidden` is multiplied by once the net has been added to it, or null: the scale of
// the layer, unless something follows in it.
const float* ScaleAfterNet(const StepContext& step, uint32_t layer);

// The op's name of what the gates of this model go through.
Activation ActivationOf(const ModelConfig& config);

// The first two matrices of a feed-forward net; without a gate it has one.
struct GateAndUp {
  WeightView gate, up;
  const float* gate_bias = nullptr;
  const float* up_bias = nullptr;
};

// gate = activation(n gate^T + bias, n up^T + bias) with n = norm(x), or activation(n up^T + bias)
// in a model without gates, in the scratch of that name. Overwrites `up` and, if there is a norm,
// `normed`.
Status RunFirstProducts(const StepContext& step, const float* x, const InputNorm& norm,
                        const GateAndUp& weights);

}  // namespace forge
