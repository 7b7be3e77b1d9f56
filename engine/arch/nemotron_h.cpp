#include <optional>

#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// NVIDIA's Nemotron H and Nemotron Nano 2 and 3 (arXiv:2504.03624): each layer is one part, which
// is Mamba 2's state space, attention that knows no positions, or a feed-forward net without a
// gate.
namespace forge {
namespace {

// Whatever the file says of rotary embedding, no model of the family has any.
Status ReadPositions(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kRotates = "rope.scaling.finetuned";
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> rotates, keys.Bool(kRotates));
  if (rotates == true)
    return UnsupportedField("attention of this family knows no positions", keys.Field(kRotates));
  config.unrotated.assign(config.n_layers, true);
  return Status();
}

// Files have the one epsilon under two names. The authors' code takes that of layer norms, which
// all files have, llama.cpp the other.
Status CheckEpsilon(const KeyReader& keys, const ModelConfig& config) {
  constexpr std::string_view kOther = "attention.layer_norm_rms_epsilon";
  FORGE_ASSIGN_OR_RETURN(const double other, keys.PositiveOr(kOther, config.rms_epsilon));
  if (static_cast<float>(other) == config.rms_epsilon) return Status();
  return UnsupportedField(
      "norms of this family have the epsilon of attention.layer_norm_epsilon alone",
      keys.Field(kOther));
}

Status ReadNemotronH(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(CheckEpsilon(keys, config));
  FORGE_TRY(ReadPositions(keys, config));
  FORGE_TRY(ReadKvHeadsOfLayers(keys, config));
  FORGE_TRY(ReadNetsOfSingleParts(keys, config));
  return ReadStateSpace(keys, config);
}

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSigmoid,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false,
                                   .may_have_groups = true};

// Nemotron 3 Super's experts take and make a shorter vector than the hidden state, and its layer
// that guesses a token further ahead is attention and experts.
Status RefuseWhatSuperHas(const KeyReader& keys) {
  for (const std::string_view name : {"moe_latent_size", "nextn_predict_layers"}) {
    FORGE_ASSIGN_OR_RETURN(const uint32_t value, keys.OptionalOr(name, 0, {0, 0xffffffff}));
    if (value != 0)
      return UnsupportedField(
          "experts take the hidden state itself, and no layer guesses, in a model of this family",
          keys.Field(name));
  }
  return Status();
}

Status ReadNemotronHMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RefuseWhatSuperHas(keys));
  FORGE_TRY(ReadNemotronH(keys, config));
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadSharedLength(keys, config);
}

// A layer has one norm, whatever it is a norm of.
std::vector<TensorSpec> Tensors(const ModelConfig& config) {
  return TensorsWithFfnNormNamed("attn_norm.weight", config);
}

constexpr TransformerTraits kDense = {.architecture = "nemotron_h",
                                      .has_layer_norm_epsilon = true,
                                      .activation = GateActivation::kReluSquared,
                                      .has_gate = false,
                                      .layers_differ = true,
                                      .read_more = ReadNemotronH};
constexpr TransformerTraits kMoe = {.architecture = "nemotron_h_moe",
                                    .has_layer_norm_epsilon = true,
                                    .activation = GateActivation::kReluSquared,
                                    .may_have_selection_bias = true,
                                    .has_gate = false,
                                    .layers_differ = true,
                                    .read_more = ReadNemotronHMoe};

template <const TransformerTraits& kTraits>
Architecture NemotronH() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = Tensors;
  return family;
}

}  // namespace

Architecture NemotronHArchitecture() { return NemotronH<kDense>(); }
Architecture NemotronHMoeArchitecture() { return NemotronH<kMoe>(); }

}  // namespace forge
