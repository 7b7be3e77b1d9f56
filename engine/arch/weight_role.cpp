#include <algorithm>

#include "engine/arch/architecture.h"

namespace forge {
namespace {

struct RoleName {
  WeightRole role;
  std::string_view name;
};
constexpr RoleName kRoleNames[] = {
    {WeightRole::kTokenEmbedding, "token embedding"},
    {WeightRole::kLayerInputs, "layers' inputs"},
    {WeightRole::kLayerInputProjection, "projection to layers' inputs"},
    {WeightRole::kLayerInputNorm, "layer input norm"},
    {WeightRole::kTokenTypes, "token types"},
    {WeightRole::kPositionEmbedding, "position embedding"},
    {WeightRole::kEmbeddingNorm, "embedding norm"},
    {WeightRole::kEmbeddingNormBias, "embedding norm bias"},
    {WeightRole::kOutputNorm, "output norm"},
    {WeightRole::kOutputNormBias, "output norm bias"},
    {WeightRole::kOutput, "output"},
    {WeightRole::kOutputBias, "output bias"},
    {WeightRole::kRopeFactors, "rope factors"},
    {WeightRole::kRopeFactorsLong, "rope factors of long contexts"},
    {WeightRole::kRopeFactorsShort, "rope factors of short contexts"},
    {WeightRole::kAttnNorm, "attention norm"},
    {WeightRole::kAttnNormBias, "attention norm bias"},
    {WeightRole::kAttnQ, "query"},
    {WeightRole::kAttnK, "key"},
    {WeightRole::kAttnV, "value"},
    {WeightRole::kAttnQBias, "query bias"},
    {WeightRole::kAttnKBias, "key bias"},
    {WeightRole::kAttnVBias, "value bias"},
    {WeightRole::kQueryLatent, "query latent"},
    {WeightRole::kQueryLatentNorm, "query latent norm"},
    {WeightRole::kLatent, "latent"},
    {WeightRole::kLatentNorm, "latent norm"},
    {WeightRole::kHeadKeys, "keys of the heads"},
    {WeightRole::kHeadValues, "values of the heads"},
    {WeightRole::kMixed, "recurrent layer's input"},
    {WeightRole::kMixedGate, "recurrent layer's input gate"},
    {WeightRole::kMixerGate, "recurrent layer's output gate"},
    {WeightRole::kDeltaBeta, "delta net's beta"},
    {WeightRole::kMixerAlpha, "recurrent layer's alpha"},
    {WeightRole::kDeltaStrengths, "delta net's beta and alpha"},
    {WeightRole::kConv, "recurrent layer's convolution"},
    {WeightRole::kMixerAlphaBias, "recurrent layer's alpha bias"},
    {WeightRole::kMixerDecay, "recurrent layer's decay"},
    {WeightRole::kConvBias, "recurrent layer's convolution bias"},
    {WeightRole::kMixerSkip, "recurrent layer's skip"},
    {WeightRole::kMixerNorm, "recurrent layer's norm"},
    {WeightRole::kAttnQNorm, "query norm"},
    {WeightRole::kAttnKNorm, "key norm"},
    {WeightRole::kAttnSinks, "attention sinks"},
    {WeightRole::kAttnOutput, "attention output"},
    {WeightRole::kAttnOutputBias, "attention output bias"},
    {WeightRole::kAttnPostNorm, "attention post norm"},
    {WeightRole::kAttnSumNorm, "attention sum norm"},
    {WeightRole::kAttnSumNormBias, "attention sum norm bias"},
    {WeightRole::kFfnNorm, "feed-forward norm"},
    {WeightRole::kFfnNormBias, "feed-forward norm bias"},
    {WeightRole::kFfnGate, "feed-forward gate"},
    {WeightRole::kFfnUp, "feed-forward up"},
    {WeightRole::kFfnDown, "feed-forward down"},
    {WeightRole::kFfnGateBias, "feed-forward gate bias"},
    {WeightRole::kFfnUpBias, "feed-forward up bias"},
    {WeightRole::kFfnDownBias, "feed-forward down bias"},
    {WeightRole::kFfnPostNorm, "feed-forward post norm"},
    {WeightRole::kFfnSumNorm, "feed-forward sum norm"},
    {WeightRole::kFfnSumNormBias, "feed-forward sum norm bias"},
    {WeightRole::kFfnMadeNorm, "norm of what the dense net makes"},
    {WeightRole::kLayerInputGate, "gate of the layer's input"},
    {WeightRole::kLayerInputOutput, "projection of the layer's input"},
    {WeightRole::kLayerInputPostNorm, "post norm of the layer's input"},
    {WeightRole::kLayerScale, "layer scale"},
    {WeightRole::kRouterNorm, "router norm"},
    {WeightRole::kRouter, "router"},
    {WeightRole::kRouterBias, "router bias"},
    {WeightRole::kSelectionBias, "bias of the choice of experts"},
    {WeightRole::kExpertNorm, "norm of what experts take"},
    {WeightRole::kExpertMadeNorm, "norm of what experts make"},
    {WeightRole::kExpertScales, "expert scales"},
    {WeightRole::kExpertGate, "expert gate"},
    {WeightRole::kExpertUp, "expert up"},
    {WeightRole::kExpertDown, "expert down"},
    {WeightRole::kExpertGateBias, "expert gate bias"},
    {WeightRole::kExpertUpBias, "expert up bias"},
    {WeightRole::kExpertDownBias, "expert down bias"},
    {WeightRole::kSharedRouter, "shared expert's router"},
    {WeightRole::kSharedGate, "shared expert's gate"},
    {WeightRole::kSharedUp, "shared expert's up"},
    {WeightRole::kSharedDown, "shared expert's down"},
};

}  // namespace

std::string_view WeightRoleName(WeightRole role) {
  const auto* const found = std::ranges::find(kRoleNames, role, &RoleName::role);
  return found != std::end(kRoleNames) ? found->name : "unknown";
}

}  // namespace forge
