#include <cmath>
#include <optional>
#include <string>

#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Small enough that a head's key and value in the cache fit the memory that a GPU's block has
// (kernels/hip/attention.hip); published models have a latent of 512 elements and turn 64.
constexpr KeyReader::Range kRank = {1, 1024};
constexpr KeyReader::Range kTurned = {2, 256};
constexpr KeyReader::Range kQueryRank = {0, 1u << 18};
// Each head has two matrices to place, as experts have three; published models have at most 128.
constexpr KeyReader::Range kMatrixHeads = {1, 1024};
constexpr uint32_t kMaxHeadDim = 4096;

Status CheckIs(const KeyReader& keys, std::string_view name, uint32_t wanted, const char* rule) {
  FORGE_ASSIGN_OR_RETURN(const uint32_t value, keys.OptionalOr(name, wanted, {0, 0xffffffff}));
  if (value == wanted) return Status();
  return InvalidField(std::string(rule) + " " + std::to_string(wanted), keys.Field(name));
}

// In newer files head_count_kv, key_length and value_length are those of the cache, and keys of
// their own say how long the heads are; older ones have the heads as they were trained.
Status ReadHeads(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kOwnKey = "attention.key_length_mla";
  constexpr std::string_view kOwnValue = "attention.value_length_mla";
  constexpr std::string_view kKey = "attention.key_length", kValue = "attention.value_length";
  LatentConfig& latent = config.latent;
  const uint32_t turned = config.rope.dimension;
  latent.has_fused_matrices = !keys.Has(kOwnKey) && !keys.Has(kOwnValue);
  FORGE_ASSIGN_OR_RETURN(
      const uint32_t query_dim,
      keys.Required(latent.has_fused_matrices ? kKey : kOwnKey, {turned + 1, kMaxHeadDim}));
  FORGE_ASSIGN_OR_RETURN(
      latent.value_dim,
      keys.Required(latent.has_fused_matrices ? kValue : kOwnValue, {1, kMaxHeadDim}));
  latent.plain_dim = query_dim - turned;
  const uint32_t n_kv_heads = latent.has_fused_matrices ? config.n_heads : 1;
  FORGE_TRY(CheckIs(keys, "attention.head_count_kv", n_kv_heads,
                    "by the lengths of its heads the model's KV heads are"));
  if (!latent.has_fused_matrices) {
    FORGE_TRY(CheckIs(keys, kKey, latent.rank + turned,
                      "a key of the cache is as long as kv_lora_rank and rope.dimension_count:"));
    FORGE_TRY(
        CheckIs(keys, kValue, latent.rank, "a value of the cache is as long as kv_lora_rank:"));
  }
  config.n_kv_heads = 1;
  config.head_dim = turned + latent.rank;
  config.value_dim = latent.rank;
  return Status();
}

// The authors scale queries times keys twice by 1 + 0.1 mscale_all_dim ln factor, and what is
// turned by the quotient of that and the same of mscale, which is 1 in every published model that
// has both. Converters write 0.1 mscale_all_dim.
Status ReadScale(const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kMultiplier = "rope.scaling.yarn_log_multiplier";
  RopeConfig& rope = config.rope;
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.ProjectedQueryDimOf(0)));
  FORGE_ASSIGN_OR_RETURN(const double multiplier, keys.PositiveUnlessZeroOr(kMultiplier, 0));
  if (rope.scaling != RopeScaling::kYarn) return Status();
  if (rope.attn_factor != 1.0)
    return UnsupportedField(
        "the engine does not scale a latent's attention by this key",
        keys.Field(keys.Has("rope.scaling.attn_factor") ? "rope.scaling.attn_factor"
                                                        : "rope.scaling.yarn_attn_factor"));
  if (multiplier == 0 || rope.factor <= 1.0) return Status();
  rope.yarn_log_multiplier = 1.0;
  const double magnitude = 1.0 + multiplier * std::log(rope.factor);
  config.attention_scale *= magnitude * magnitude;
  return Status();
}

// Mistral Large 3's queries grow beyond the original context.
Status ReadQueryGrowth(const KeyReader& keys, QueryGrowth& growth) {
  FORGE_ASSIGN_OR_RETURN(growth.scale, keys.PositiveUnlessZeroOr("attention.temperature_scale", 0));
  if (growth.scale == 0) return Status();
  FORGE_ASSIGN_OR_RETURN(growth.period,
                         keys.Required("attention.temperature_length", kContextRange));
  return Status();
}

// Files from before the key expert_gating_func are of DeepSeek V2, but for early ones of GLM 4.7
// Flash, which llama.cpp knows by the same two numbers.
Result<ExpertGating> UsualGating(const KeyReader& keys, const ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_vocab, keys.OptionalOr("vocab_size", 0, {0, 0xffffffff}));
  const bool is_glm = (config.n_layers == 47 || config.n_layers == 48) && n_vocab == 154880;
  return is_glm ? ExpertGating::kSigmoid : ExpertGating::kSoftmaxOfAll;
}

Status ReadNets(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const ExpertGating gating, UsualGating(keys, config));
  const ExpertTraits traits = {.gating = gating,
                               .normalizes_weights = false,
                               .shares_feed_forward_length = false,
                               .chooses_gating = true,
                               .may_have_groups = true,
                               .may_begin_dense = true};
  FORGE_TRY(ReadExperts(keys, traits, config));
  if (config.experts.count != 0) return ReadSharedCount(keys, config);
  // A model without experts says so of its layers too.
  return CheckIs(keys, "leading_dense_block_count", config.n_layers,
                 "without experts every layer is dense, of which the model has");
}

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.latent.rank, keys.Required("attention.kv_lora_rank", kRank));
  FORGE_ASSIGN_OR_RETURN(config.latent.query_rank,
                         keys.OptionalOr("attention.q_lora_rank", 0, kQueryRank));
  FORGE_TRY(keys.Required("rope.dimension_count", kTurned).status());
  FORGE_TRY(keys.Required("attention.head_count", kMatrixHeads).status());
  FORGE_TRY(ReadHeads(keys, config));
  FORGE_TRY(ReadScale(keys, config));
  FORGE_TRY(ReadQueryGrowth(keys, config.query_growth));
  return ReadNets(keys, config);
}

// DeepSeek V2, V3, R1 and what is built as they are: latent attention, of each head's queries and
// keys some elements are turned; dense layers first, experts in groups, shared ones without a gate.
constexpr TransformerTraits kTraits = {.architecture = "deepseek2",
                                       .rope_layout = RopeLayout::kInterleaved,
                                       .may_have_selection_bias = true,
                                       .read_more = ReadMore};

}  // namespace

Architecture DeepSeek2Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
