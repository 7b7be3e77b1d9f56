#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Google's Gemma 4, the text part. Layers with a window and without differ in the sizes and the
// number of their heads; scores of attention are not scaled, as the norms of queries, keys and
// values do that. Norm weights are the factors themselves.
namespace forge {
namespace {

constexpr std::string_view kKvHeads = "attention.head_count_kv";
constexpr std::string_view kSharedKv = "attention.shared_kv_layers";
constexpr KeyReader::Range kLayerInput = {0, 1u << 14};

Status CheckValuesAreAsLongAsKeys(const KeyReader& keys, std::string_view name,
                                  const HeadShape& heads) {
  if (heads.value_dim == heads.head_dim) return Status();
  return UnsupportedField("values are as long as the keys of a head, " +
                              std::to_string(heads.head_dim) + ", in a model of this family",
                          keys.Field(name));
}

// Of layers of one kind the number is one.
Status ReadKvHeads(const KeyReader& keys, ModelConfig& config, HeadShape& window) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint32_t>> counts,
                         keys.OfLayers(kKvHeads, config.n_layers, kHeadRange));
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    uint32_t& of_kind = config.HasWindow(layer) ? window.n_kv_heads : config.n_kv_heads;
    const uint32_t count = counts ? (*counts)[layer] : config.n_heads;
    if (config.n_heads % count != 0)
      return InvalidField("the KV heads divide the " + std::to_string(config.n_heads) + " heads",
                          keys.Element(kKvHeads, count));
    if (of_kind != 0 && of_kind != count)
      return UnsupportedField(
          "the layers with a window have the same number of KV heads, as have those without",
          keys.Element(kKvHeads, count));
    of_kind = count;
  }
  // There may be no layer of one kind.
  if (config.n_kv_heads == 0) config.n_kv_heads = window.n_kv_heads;
  if (window.n_kv_heads == 0) window.n_kv_heads = config.n_kv_heads;
  return Status();
}

Status ReadHeads(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kKeys = "attention.key_length_swa",
                             kValues = "attention.value_length_swa";
  HeadShape window;
  FORGE_ASSIGN_OR_RETURN(window.head_dim, keys.Required(kKeys, kHeadSizeRange));
  FORGE_ASSIGN_OR_RETURN(window.value_dim, keys.Required(kValues, kHeadSizeRange));
  FORGE_TRY(ReadKvHeads(keys, config, window));
  FORGE_TRY(CheckValuesAreAsLongAsKeys(keys, kValues, window));
  config.window_heads = window;
  RopeConfig rope = {.layout = config.rope.layout};
  FORGE_ASSIGN_OR_RETURN(rope.dimension,
                         ReadRopeDimension(keys, "rope.dimension_count_swa", window.head_dim));
  FORGE_ASSIGN_OR_RETURN(rope.base, keys.RequiredPositive("rope.freq_base_swa"));
  config.window_rope = rope;
  if (config.value_dim == config.head_dim) return Status();
  return CheckValuesAreAsLongAsKeys(
      keys, keys.Has("attention.value_length") ? "attention.value_length" : "attention.key_length",
      {.head_dim = config.head_dim, .value_dim = config.value_dim});
}

// Before the layers that share keys and values there is one of their kind that has its own.
Status ReadSharedKv(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.n_shared_kv_layers,
                         keys.OptionalOr(kSharedKv, 0, {0, config.n_layers - 1}));
  bool has_source[2] = {};  // without a window, with one
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    bool& of_kind = has_source[config.HasWindow(layer) ? 1 : 0];
    if (config.HasOwnKv(layer)) of_kind = true;
    if (!of_kind)
      return InvalidField(
          "before the layers that share keys and values there are some of the same kind, with a "
          "window or without, that have their own",
          keys.Field(kSharedKv));
  }
  return Status();
}

Status ReadLengths(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<uint32_t>> lengths,
                         keys.OfLayers("feed_forward_length", config.n_layers, kFeedForwardRange));
  if (!lengths) return Status();  // CheckFeedForward says so
  config.n_ff = *std::ranges::max_element(*lengths);
  config.n_ff_of_layers = *lengths;
  return Status();
}

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false};

Status ReadGemma4(const KeyReader& keys, ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.n_embd));
  config.attention_scale = 1.0;
  config.norms_values = true;
  FORGE_TRY(ReadWindowOfNamedLayers(keys, config));
  FORGE_TRY(ReadHeads(keys, config));
  FORGE_TRY(ReadSharedKv(keys, config));
  FORGE_TRY(ReadLengths(keys, config));
  if (keys.Has("final_logit_softcapping")) {
    FORGE_ASSIGN_OR_RETURN(config.final_soft_cap, keys.PositiveOr("final_logit_softcapping", 30));
  }
  FORGE_ASSIGN_OR_RETURN(config.n_layer_input,
                         keys.OptionalOr("embedding_length_per_layer_input", 0, kLayerInput));
  FORGE_TRY(ReadExperts(keys, kExperts, config));
  config.experts.has_dense_beside = config.experts.count != 0;
  return Status();
}

// Whether a layer that has keys and values of its own, and no window, satisfies `has`.
template <typename Has>
bool AnyFullLayer(const ModelConfig& config, const Has& has) {
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    if (!config.HasWindow(layer) && config.HasOwnKv(layer) && has(layer)) return true;
  return false;
}

void ReadTensors(const GgufFile& file, ModelConfig& config) {
  const auto has_values = [&](uint32_t layer) {
    return file.FindTensor(LayerTensorName(layer, "attn_v.weight")) != nullptr;
  };
  config.keys_are_values = !AnyFullLayer(config, has_values);
  // Without the factors all of a head would be turned, where a part of it is to be.
  config.has_rope_factors = AnyFullLayer(config, [](uint32_t) { return true; });
  config.has_layer_scales = AnyLayerHas(file, config, "layer_output_scale.weight");
  config.experts.has_scales = AnyLayerHas(file, config, "ffn_down_exps.scale");
  config.experts.has_fused_gate_up = AnyLayerHas(file, config, "ffn_gate_up_exps.weight");
}

constexpr TransformerTraits kGemma4 = {.architecture = "gemma4",
                                       .activation = GateActivation::kGelu,
                                       .qk_norm = QkNorm::kHead,
                                       .has_post_norms = true,
                                       .layers_differ = true,
                                       .read_more = ReadGemma4,
                                       .read_tensors = ReadTensors};

}  // namespace

Architecture Gemma4Architecture() { return TransformerFamily<kGemma4>(); }

}  // namespace forge
