#include <optional>
#include <string>
#include <vector>

#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr KeyReader::Range kKeyHeads = {1, 1024};
constexpr KeyReader::Range kValueHeads = {1, 4096};
// As DeltaRuleArgs and CausalConvArgs have them.
constexpr KeyReader::Range kHeadDim = {1, 128};
constexpr KeyReader::Range kTaps = {2, 8};

Status ReadHeads(const KeyReader& keys, DeltaNetConfig& net) {
  constexpr std::string_view kValues = "ssm.time_step_rank", kInner = "ssm.inner_size";
  FORGE_ASSIGN_OR_RETURN(net.n_key_heads, keys.Required("ssm.group_count", kKeyHeads));
  FORGE_ASSIGN_OR_RETURN(net.n_value_heads, keys.Required(kValues, kValueHeads));
  FORGE_ASSIGN_OR_RETURN(net.head_dim, keys.Required("ssm.state_size", kHeadDim));
  FORGE_ASSIGN_OR_RETURN(net.n_taps, keys.Required("ssm.conv_kernel", kTaps));
  if (net.n_value_heads % net.n_key_heads != 0)
    return InvalidField("the " + std::to_string(net.n_key_heads) +
                            " key heads of ssm.group_count divide the value heads",
                        keys.Field(kValues));
  FORGE_ASSIGN_OR_RETURN(const uint32_t inner, keys.Required(kInner, {1, 0xffffffff}));
  if (inner == net.n_value_rows()) return Status();
  return InvalidField("the value heads have ssm.state_size elements each, together " +
                          std::to_string(net.n_value_rows()),
                      keys.Field(kInner));
}

// Which layers are a delta net: those that the file names, or all but each n-th.
Status ReadPattern(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kFlags = "attention.recurrent_layers";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::vector<bool>> flags,
                         keys.FlagsOfLayers(kFlags, config.n_layers + config.n_left_out_layers));
  FORGE_ASSIGN_OR_RETURN(const uint32_t period,
                         keys.OptionalOr("full_attention_interval", 4, {1, 0xffff}));
  bool has_attention = false;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer) {
    const bool is_recurrent = flags ? (*flags)[layer] : layer % period != period - 1;
    config.parts.push_back({.mixer = is_recurrent ? Mixer::kRecurrent : Mixer::kAttention});
    has_attention = has_attention || !is_recurrent;
  }
  if (has_attention) return Status();
  return UnsupportedField("a layer or more has attention over all positions",
                          flags ? keys.Field(kFlags) : keys.Field("block_count"));
}

Status ReadHybrid(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadPredictionLayers(keys, config));
  if (keys.Has("rope.dimension_sections")) FORGE_TRY(ReadRopeSections(keys));
  config.gates_heads = true;
  if (config.value_dim != config.head_dim)
    return UnsupportedField(
        "gates are as long as the keys of a head, " + std::to_string(config.head_dim),
        keys.Field("attention.value_length"));
  FORGE_TRY(ReadHeads(keys, config.delta_net));
  return ReadPattern(keys, config);
}

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = true};

Status ReadHybridMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadHybrid(keys, config));
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadGatedSharedLength(keys, config);
}

// The value heads of one key head lie beside each other, as do the strengths of them.
Status ReadNext(const KeyReader& keys, ModelConfig& config) {
  config.delta_net.spreads_key_heads = config.delta_net.has_fused_strengths = true;
  return ReadHybridMoe(keys, config);
}

// The tensors of a delta net are named as fused projections are.
void FindFusedQkv(const GgufFile& file, ModelConfig& config) {
  config.has_fused_qkv = false;
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    if (!config.IsRecurrent(layer) &&
        file.FindTensor(LayerTensorName(layer, "attn_qkv.weight")) != nullptr)
      config.has_fused_qkv = true;
}

// Qwen 3 Next: three layers of four are a gated delta net, the others attend to all positions and
// gate what comes of it.
constexpr TransformerTraits kNext = {.architecture = "qwen3next",
                                     .qk_norm = QkNorm::kHead,
                                     .read_more = ReadNext,
                                     .read_tensors = FindFusedQkv};
// Qwen 3.5 and later, the text part.
constexpr TransformerTraits kDense = {.architecture = "qwen35",
                                      .qk_norm = QkNorm::kHead,
                                      .read_more = ReadHybrid,
                                      .read_tensors = FindFusedQkv};
constexpr TransformerTraits kMoe = {.architecture = "qwen35moe",
                                    .qk_norm = QkNorm::kHead,
                                    .read_more = ReadHybridMoe,
                                    .read_tensors = FindFusedQkv};

template <const TransformerTraits& kTraits>
Architecture Hybrid() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = TensorsWithFfnNormAsPostAttention;
  return family;
}

}  // namespace

Architecture Qwen3NextArchitecture() { return Hybrid<kNext>(); }
Architecture Qwen35Architecture() { return Hybrid<kDense>(); }
Architecture Qwen35MoeArchitecture() { return Hybrid<kMoe>(); }

}  // namespace forge
