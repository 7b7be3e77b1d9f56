#include <cmath>
#include <optional>
#include <string>

#include "engine/arch/key_reader.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Far beyond every published model, and small enough that no product of two of them passes 2^32.
constexpr KeyReader::Range kLayers = {1, 512};
constexpr KeyReader::Range kEmbedding = {1, 1u << 18};
constexpr KeyReader::Range kFeedForward = {1, 1u << 22};
constexpr KeyReader::Range kHeads = {1, 4096};
constexpr KeyReader::Range kHeadSize = {1, 8192};
constexpr KeyReader::Range kVocabulary = {1, 1u << 24};
constexpr KeyReader::Range kContext = {1, 0x7fffffff};

// Keys that change the computation in a way this forward pass does not follow. Where the key is
// absent or has one of its two neutral values it changes nothing.
struct UnsupportedKey {
  std::string_view name;
  double neutral, also_neutral;
};
constexpr UnsupportedKey kUnsupportedKeys[] = {
    {"expert_count", 0, 0},
    {"attn_logit_softcapping", 0, 0},
    {"final_logit_softcapping", 0, 0},
    {"attention.clamp_kqv", 0, 0},
    {"attention.max_alibi_bias", 0, 0},
    {"attention.scale", 0, 0},
    {"attention.causal", 1, 1},
    {"use_parallel_residual", 0, 0},
    {"embedding_scale", 0, 1},
    {"residual_scale", 0, 1},
    {"logit_scale", 0, 1},
    {"rope.scaling.yarn_log_multiplier", 0, 0},
};

std::optional<double> NumberOf(const GgufValue& value) {
  struct Visitor {
    std::optional<double> operator()(int64_t v) const { return static_cast<double>(v); }
    std::optional<double> operator()(uint64_t v) const { return static_cast<double>(v); }
    std::optional<double> operator()(double v) const { return v; }
    std::optional<double> operator()(bool v) const { return v ? 1.0 : 0.0; }
    std::optional<double> operator()(const std::string&) const { return std::nullopt; }
    std::optional<double> operator()(const GgufArray&) const { return std::nullopt; }
  };
  return std::visit(Visitor{}, value.value);
}

Status RefuseUnsupportedKeys(const KeyReader& keys, uint32_t n_context) {
  for (const UnsupportedKey& unsupported : kUnsupportedKeys) {
    const GgufValue* const value = keys.metadata().Find(keys.Key(unsupported.name));
    if (value == nullptr) continue;
    const std::optional<double> number = NumberOf(*value);
    if (!number) return InvalidField("the key needs a number", keys.Field(unsupported.name));
    if (*number != unsupported.neutral && *number != unsupported.also_neutral)
      return UnsupportedField("the engine does not support what this key asks for",
                              keys.Field(unsupported.name));
  }
  constexpr std::string_view kWindow = "attention.sliding_window";
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> window,
                         keys.Optional(kWindow, {0, 0xffffffff}));
  if (window.value_or(0) != 0 && *window < n_context)
    return UnsupportedField("the engine does not support sliding-window attention for this family",
                            keys.Field(kWindow));
  return Status();
}

// Embedding divided by heads, unless the key says otherwise; never 0.
Result<uint32_t> ReadHeadSize(const KeyReader& keys, std::string_view name,
                              const ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> explicit_size,
                         keys.Optional(name, kHeadSize));
  if (explicit_size) return *explicit_size;
  if (config.n_embd % config.n_heads != 0)
    return InvalidField("the embedding length " + std::to_string(config.n_embd) +
                            " is not a multiple of the heads, and there is no key " +
                            keys.Key(name),
                        keys.Field("attention.head_count"));
  const uint32_t size = config.n_embd / config.n_heads;
  if (size > kHeadSize.max)
    return InvalidField("the heads are larger than 8192 elements",
                        keys.Field("attention.head_count"));
  return size;
}

Status ReadShape(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.n_layers, keys.Required("block_count", kLayers));
  FORGE_ASSIGN_OR_RETURN(config.n_embd, keys.Required("embedding_length", kEmbedding));
  FORGE_ASSIGN_OR_RETURN(config.n_ff, keys.Required("feed_forward_length", kFeedForward));
  FORGE_ASSIGN_OR_RETURN(config.n_heads, keys.Required("attention.head_count", kHeads));
  FORGE_ASSIGN_OR_RETURN(
      const std::optional<uint32_t> n_kv_heads,
      keys.UniformOverLayers("attention.head_count_kv", config.n_layers, kHeads));
  config.n_kv_heads = n_kv_heads.value_or(config.n_heads);
  if (config.n_heads % config.n_kv_heads != 0)
    return InvalidField("the KV heads divide the " + std::to_string(config.n_heads) + " heads",
                        keys.Field("attention.head_count_kv"));
  FORGE_ASSIGN_OR_RETURN(config.head_dim, ReadHeadSize(keys, "attention.key_length", config));
  FORGE_ASSIGN_OR_RETURN(config.value_dim, ReadHeadSize(keys, "attention.value_length", config));
  FORGE_ASSIGN_OR_RETURN(config.n_context_train, keys.Required("context_length", kContext));
  constexpr std::string_view kEpsilon = "attention.layer_norm_rms_epsilon";
  FORGE_ASSIGN_OR_RETURN(const double epsilon, keys.RequiredPositive(kEpsilon));
  config.rms_epsilon = static_cast<float>(epsilon);
  if (!(epsilon < 1.0) || config.rms_epsilon == 0.0f)
    return InvalidField("the key needs a value between 1e-38 and 1", keys.Field(kEpsilon));
  return Status();
}

Status ReadRopeDimension(const KeyReader& keys, uint32_t head_dim, RopeConfig& rope) {
  constexpr std::string_view kName = "rope.dimension_count";
  FORGE_ASSIGN_OR_RETURN(rope.dimension, keys.OptionalOr(kName, head_dim, {1, head_dim}));
  if (rope.dimension % 2 == 0) return Status();
  if (!keys.metadata().Has(keys.Key(kName)))
    return MissingField("the head size " + std::to_string(head_dim) +
                            " is odd, so the key must give an even rotary width",
                        keys.Key(kName));
  return InvalidField("the rotary width is even", keys.Field(kName));
}

Status ReadYarn(const KeyReader& keys, uint32_t n_context, RopeConfig& rope) {
  FORGE_ASSIGN_OR_RETURN(const double attn_factor, keys.PositiveOr("rope.scaling.attn_factor", 1));
  FORGE_ASSIGN_OR_RETURN(const double yarn_attn_factor,
                         keys.PositiveOr("rope.scaling.yarn_attn_factor", 1));
  FORGE_ASSIGN_OR_RETURN(
      rope.original_context,
      keys.OptionalOr("rope.scaling.original_context_length", n_context, kContext));
  FORGE_ASSIGN_OR_RETURN(rope.yarn_beta_fast,
                         keys.PositiveOr("rope.scaling.yarn_beta_fast", rope.yarn_beta_fast));
  FORGE_ASSIGN_OR_RETURN(rope.yarn_beta_slow,
                         keys.PositiveOr("rope.scaling.yarn_beta_slow", rope.yarn_beta_slow));
  FORGE_ASSIGN_OR_RETURN(const std::optional<double> ext_factor,
                         keys.metadata().Float(keys.Key("rope.scaling.yarn_ext_factor")));
  // Converters write -1 for "as usual".
  if (ext_factor && *ext_factor >= 0) rope.yarn_ext_factor = *ext_factor;
  rope.attn_factor = attn_factor * yarn_attn_factor;  // two names, both in use
  return Status();
}

Status ReadRopeScaling(const KeyReader& keys, uint32_t n_context, RopeConfig& rope) {
  constexpr std::string_view kType = "rope.scaling.type";
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> type,
                         keys.metadata().String(keys.Key(kType)));
  // Files older than the key `type` have `scale_linear`, and factor 0 where nothing is scaled.
  const std::string_view name = keys.metadata().Has(keys.Key("rope.scaling.factor"))
                                    ? "rope.scaling.factor"
                                    : "rope.scale_linear";
  FORGE_ASSIGN_OR_RETURN(const std::optional<double> factor, keys.metadata().Float(keys.Key(name)));
  if (factor && *factor < 0)
    return InvalidField("the key needs a value above 0, or 0 for none", keys.Field(name));
  rope.factor = factor.value_or(0.0) == 0.0 ? 1.0 : *factor;
  if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    return ReadYarn(keys, n_context, rope);
  }
  for (const std::string_view key : {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"}) {
    FORGE_ASSIGN_OR_RETURN(const double attention_factor, keys.PositiveOr(key, 1));
    if (attention_factor != 1.0)
      return UnsupportedField("the engine scales attention by this key under YaRN only",
                              keys.Field(key));
  }
  if (type == "none") {
    rope.factor = 1.0;
  } else if (!type || type == "linear") {
    rope.scaling = rope.factor == 1.0 ? RopeScaling::kNone : RopeScaling::kLinear;
  } else {
    return UnsupportedField("the engine knows the scalings none, linear and yarn",
                            keys.Field(kType));
  }
  return Status();
}

Status ReadRope(const KeyReader& keys, ModelConfig& config) {
  RopeConfig& rope = config.rope;
  FORGE_TRY(ReadRopeDimension(keys, config.head_dim, rope));
  FORGE_ASSIGN_OR_RETURN(rope.base, keys.PositiveOr("rope.freq_base", 10000.0));
  rope.original_context = config.n_context_train;
  return ReadRopeScaling(keys, config.n_context_train, rope);
}

Status ReadVocabularySize(const GgufFile& file, const KeyReader& keys, ModelConfig& config) {
  constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> explicit_size,
                         keys.Optional("vocab_size", kVocabulary));
  FORGE_ASSIGN_OR_RETURN(const GgufStrings* const tokens, file.metadata().StringArray(kTokens));
  const GgufTensor* const embedding = file.FindTensor("token_embd.weight");
  const uint64_t size = explicit_size          ? *explicit_size
                        : tokens != nullptr    ? tokens->size()
                        : embedding != nullptr ? embedding->n_rows()
                                               : 0;
  if (tokens != nullptr && (tokens->empty() || tokens->size() > size))
    return InvalidField("a vocabulary has 1 token or more, and at most vocab_size",
                        {std::string(kTokens), DescribeValue(*file.metadata().Find(kTokens)),
                         file.metadata().Find(kTokens)->offset});
  if (size == 0)
    return MissingField("nothing tells the size of the vocabulary", keys.Key("vocab_size"));
  if (size > kVocabulary.max)
    return InvalidField("a vocabulary has at most 16777216 tokens",
                        {"vocabulary size", std::to_string(size), 0});
  config.n_vocab = static_cast<uint32_t>(size);
  return Status();
}

// What the tensors that are there tell. The table then demands them in every layer.
void ReadTensorPresence(const GgufFile& file, const TransformerTraits& traits,
                        ModelConfig& config) {
  const auto in_any_layer = [&](std::string_view suffix) {
    for (uint32_t layer = 0; layer < config.n_layers; ++layer)
      if (file.FindTensor(LayerTensorName(layer, suffix)) != nullptr) return true;
    return false;
  };
  config.has_fused_qkv = in_any_layer("attn_qkv.weight");
  config.has_qkv_bias = traits.requires_qkv_bias || in_any_layer("attn_q.bias") ||
                        in_any_layer("attn_k.bias") || in_any_layer("attn_v.bias") ||
                        in_any_layer("attn_qkv.bias");
  config.has_output_bias = in_any_layer("attn_output.bias");
  config.has_tied_output = file.FindTensor("output.weight") == nullptr;
  config.has_rope_factors = file.FindTensor("rope_freqs.weight") != nullptr;
}

}  // namespace

Result<ModelConfig> ReadTransformerConfig(const GgufFile& file, const TransformerTraits& traits) {
  const KeyReader keys(file.metadata(), traits.architecture);
  ModelConfig config;
  config.architecture = traits.architecture;
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> name,
                         file.metadata().String("general.name"));
  config.name = SanitizeText(name.value_or(""));
  config.rope.layout = traits.rope_layout;
  FORGE_TRY(ReadShape(keys, config));
  FORGE_TRY(RefuseUnsupportedKeys(keys, config.n_context_train));
  FORGE_TRY(ReadRope(keys, config));
  FORGE_TRY(ReadVocabularySize(file, keys, config));
  ReadTensorPresence(file, traits, config);
  return config;
}

}  // namespace forge
