#include "engine/runtime/layer_inputs.h"

#include <cmath>

#include "engine/runtime/feed_forward_block.h"

namespace forge {
namespace {

// The tokens' rows of the table. The sum of these and the products is divided by sqrt(2): here, and
// in the weights of the products' norm.
Status LookUp(const StepContext& step) {
  const double scale = std::sqrt(step.config().n_layer_input / 2.0);
  return step.ops().embed({.table = step.model().weights().layer_inputs,
                           .tokens = step.indices().tokens,
                           .y = step.Floats(step.scratch().layer_inputs),
                           .n_tokens = step.n_tokens(),
                           .scale = static_cast<float>(scale)},
                          step.stream());
}

// Adds the products of the embeddings, normalised for each layer. They are divided by
// sqrt(n_embd), of which the norm leaves no more than a greater epsilon.
Status AddProducts(const StepContext& step) {
  const ModelConfig& config = step.config();
  const ScratchPlan& scratch = step.scratch();
  const ModelWeights& weights = step.model().weights();
  float* const products = step.Floats(scratch.layer_products);
  float* const inputs = step.Floats(scratch.layer_inputs);
  FORGE_TRY(
      step.Multiply({.x = step.Floats(scratch.hidden),
                     .n_targets = 1,
                     .targets = {{{.weight = weights.layer_input_projection, .y = products}}}}));
  return step.ops().rms_norm({.x = products,
                              .weight = weights.layer_input_norm,
                              .residual = inputs,
                              .y = inputs,
                              .n_rows = step.n_tokens() * static_cast<int>(config.n_layers),
                              .dim = static_cast<int>(config.n_layer_input),
                              .epsilon = config.rms_epsilon * static_cast<float>(config.n_embd)},
                             step.stream());
}

}  // namespace

Status MakeLayerInputs(const StepContext& step) {
  if (!step.config().HasLayerInputs()) return Status();
  FORGE_TRY(LookUp(step));
  return AddProducts(step);
}

Status AddLayerInput(const StepContext& step, uint32_t layer) {
  const ModelConfig& config = step.config();
  if (!config.HasLayerInputs()) return Status();
  const ScratchPlan& scratch = step.scratch();
  const LayerWeights& weights = step.Layer(layer);
  const auto n_input = static_cast<int>(config.n_layer_input);
  const auto n_layers = static_cast<int>(config.n_layers);
  float* const gate = step.Floats(scratch.gate);
  FORGE_TRY(step.Multiply({.x = step.Floats(scratch.hidden),
                           .n_targets = 1,
                           .targets = {{{.weight = weights.layer_input_gate, .y = gate}}},
                           .activation = ActivationOf(config)}));
  const float* const inputs =
      step.Floats(scratch.layer_inputs) + static_cast<int64_t>(layer) * n_input;
  FORGE_TRY(step.ops().multiply_columns({.x = gate,
                                         .factor = {inputs, n_layers * n_input, n_input},
                                         .y = gate,
                                         .n_rows = step.n_tokens()},
                                        step.stream()));
  return step.AddProjected(gate, weights.layer_input_output, nullptr, weights.layer_input_post_norm,
                           weights.layer_scale);
}

}  // namespace forge
