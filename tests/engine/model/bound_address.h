#pragma once

#include "engine/model/model.h"

namespace forge::testing {

// Where a model that was loaded has the weight of this placement; nullptr for one it does not keep
// on the device.
inline const void* BoundAddress(const ModelWeights& weights, const WeightPlacement& placement) {
  const TensorSpec& spec = placement.spec;
  switch (spec.role) {
    case WeightRole::kTokenEmbedding:
      return weights.token_embedding.data;
    case WeightRole::kLayerInputs:
      return weights.layer_inputs.data;
    case WeightRole::kLayerInputProjection:
      return weights.layer_input_projection.data;
    case WeightRole::kLayerInputNorm:
      return weights.layer_input_norm;
    case WeightRole::kOutputNorm:
      return weights.output_norm;
    case WeightRole::kOutput:
      return weights.output.data;
    default:
      break;
  }
  if (spec.layer < 0) return nullptr;
  const LayerWeights& layer = weights.layers[static_cast<size_t>(spec.layer)];
  const auto expert = [&](const ExpertWeights& experts) -> const void* {
    return static_cast<const std::byte*>(experts.first.data) +
           placement.expert * experts.stride_bytes;
  };
  const std::pair<WeightRole, const void*> places[] = {
      {WeightRole::kAttnNorm, layer.attn_norm},
      {WeightRole::kAttnQ, layer.q.data},
      {WeightRole::kAttnK, layer.k.data},
      {WeightRole::kAttnV, layer.v.data},
      {WeightRole::kAttnQBias, layer.q_bias},
      {WeightRole::kAttnKBias, layer.k_bias},
      {WeightRole::kAttnVBias, layer.v_bias},
      {WeightRole::kQueryLatent, layer.query_latent.data},
      {WeightRole::kQueryLatentNorm, layer.query_latent_norm},
      {WeightRole::kLatent, layer.latent.data},
      {WeightRole::kLatentNorm, layer.latent_norm},
      {WeightRole::kHeadKeys, expert(layer.head_keys)},
      {WeightRole::kHeadValues, expert(layer.head_values)},
      {WeightRole::kMixed, layer.mixed.data},
      {WeightRole::kMixedGate, layer.mixed_gate.data},
      {WeightRole::kMixerGate, layer.mixer_gate.data},
      {WeightRole::kDeltaBeta, layer.delta_beta.data},
      {WeightRole::kMixerAlpha, layer.mixer_alpha.data},
      {WeightRole::kDeltaStrengths, layer.delta_strengths.data},
      {WeightRole::kConv, layer.conv},
      {WeightRole::kMixerAlphaBias, layer.mixer_alpha_bias},
      {WeightRole::kMixerDecay, layer.mixer_decay},
      {WeightRole::kMixerSkip, layer.mixer_skip},
      {WeightRole::kMixerNorm, layer.mixer_norm},
      {WeightRole::kConvBias, layer.conv_bias},
      {WeightRole::kAttnQNorm, layer.q_norm},
      {WeightRole::kAttnKNorm, layer.k_norm},
      {WeightRole::kAttnSinks, layer.sinks},
      {WeightRole::kAttnOutput, layer.attn_output.data},
      {WeightRole::kAttnOutputBias, layer.attn_output_bias},
      {WeightRole::kAttnPostNorm, layer.attn_post_norm},
      {WeightRole::kFfnNorm, layer.ffn_norm},
      {WeightRole::kFfnGate, layer.gate.data},
      {WeightRole::kFfnUp, layer.up.data},
      {WeightRole::kFfnDown, layer.down.data},
      {WeightRole::kFfnGateBias, layer.gate_bias},
      {WeightRole::kFfnUpBias, layer.up_bias},
      {WeightRole::kFfnDownBias, layer.down_bias},
      {WeightRole::kFfnPostNorm, layer.ffn_post_norm},
      {WeightRole::kFfnMadeNorm, layer.ffn_made_norm},
      {WeightRole::kLayerInputGate, layer.layer_input_gate.data},
      {WeightRole::kLayerInputOutput, layer.layer_input_output.data},
      {WeightRole::kLayerInputPostNorm, layer.layer_input_post_norm},
      {WeightRole::kLayerScale, layer.layer_scale},
      {WeightRole::kRouterNorm, layer.router_norm},
      {WeightRole::kRouter, layer.router.data},
      {WeightRole::kRouterBias, layer.router_bias},
      {WeightRole::kSelectionBias, layer.selection_bias},
      {WeightRole::kExpertNorm, layer.expert_norm},
      {WeightRole::kExpertMadeNorm, layer.expert_made_norm},
      {WeightRole::kExpertScales, layer.expert_scales},
      {WeightRole::kExpertGate, expert(layer.expert_gate)},
      {WeightRole::kExpertUp, expert(layer.expert_up)},
      {WeightRole::kExpertDown, expert(layer.expert_down)},
      {WeightRole::kExpertGateBias, layer.expert_gate_bias},
      {WeightRole::kExpertUpBias, layer.expert_up_bias},
      {WeightRole::kExpertDownBias, layer.expert_down_bias},
      {WeightRole::kSharedRouter, layer.shared_router.data},
      {WeightRole::kSharedGate, layer.shared_gate.data},
      {WeightRole::kSharedUp, layer.shared_up.data},
      {WeightRole::kSharedDown, layer.shared_down.data}};
  for (const auto& [role, address] : places)
    if (role == spec.role) return address;
  return nullptr;
}

}  // namespace forge::testing
