#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "engine/arch/config_parts.h"
#include "engine/arch/key_reader.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Far beyond every published model, and small enough that no product of two of them passes 2^32.
constexpr KeyReader::Range kLayers = {1, 512};
constexpr KeyReader::Range kEmbedding = {1, 1u << 18};
constexpr KeyReader::Range kVocabulary = {1, 1u << 24};

// Embedding divided by heads, unless the key says otherwise; never 0.
Result<uint32_t> ReadHeadSize(const KeyReader& keys, std::string_view name,
                              const ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> explicit_size,
                         keys.Optional(name, kHeadSizeRange));
  if (explicit_size) return *explicit_size;
  if (config.n_embd % config.n_heads != 0)
    return InvalidField("the embedding length " + std::to_string(config.n_embd) +
                            " is not a multiple of the heads, and there is no key " +
                            keys.Key(name),
                        keys.Field("attention.head_count"));
  const uint32_t size = config.n_embd / config.n_heads;
  if (size > kHeadSizeRange.max)
    return InvalidField("the heads are larger than 8192 elements",
                        keys.Field("attention.head_count"));
  return size;
}

Status ReadKvHeads(const KeyReader& keys, const TransformerTraits& traits, ModelConfig& config) {
  constexpr std::string_view kKvHeads = "attention.head_count_kv";
  if (traits.has_recurrent_layers) return ReadKvHeadsOfLayers(keys, config);
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> n_kv_heads,
                         keys.UniformOverLayers(kKvHeads, config.n_layers, kHeadRange));
  config.n_kv_heads = n_kv_heads.value_or(config.n_heads);
  if (config.n_heads % config.n_kv_heads == 0) return Status();
  return InvalidField("the KV heads divide the " + std::to_string(config.n_heads) + " heads",
                      keys.Field(kKvHeads));
}

// What is the same in all layers of most families.
Status ReadLayers(const KeyReader& keys, const TransformerTraits& traits, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(
      const std::optional<uint32_t> n_ff,
      keys.UniformOverLayers("feed_forward_length", config.n_layers, kFeedForwardRange));
  config.n_ff = n_ff.value_or(0);
  return ReadKvHeads(keys, traits, config);
}

Status ReadShape(const KeyReader& keys, const TransformerTraits& traits, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(config.n_layers, keys.Required("block_count", kLayers));
  FORGE_ASSIGN_OR_RETURN(config.n_embd, keys.Required("embedding_length", kEmbedding));
  FORGE_ASSIGN_OR_RETURN(config.n_heads, keys.Required("attention.head_count", kHeadRange));
  if (!traits.layers_differ) FORGE_TRY(ReadLayers(keys, traits, config));
  FORGE_ASSIGN_OR_RETURN(config.head_dim, ReadHeadSize(keys, "attention.key_length", config));
  FORGE_ASSIGN_OR_RETURN(config.value_dim, ReadHeadSize(keys, "attention.value_length", config));
  FORGE_ASSIGN_OR_RETURN(config.n_context_train, keys.Required("context_length", kContextRange));
  const bool is_of_layer_norms = config.norm == NormKind::kLayer || traits.has_layer_norm_epsilon;
  const std::string_view epsilon_key =
      is_of_layer_norms ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
  FORGE_ASSIGN_OR_RETURN(const double epsilon, keys.RequiredPositive(epsilon_key));
  config.rms_epsilon = static_cast<float>(epsilon);
  if (!(epsilon < 1.0) || config.rms_epsilon == 0.0f)
    return InvalidField("the key needs a value between 1e-38 and 1", keys.Field(epsilon_key));
  config.attention_scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return Status();
}

// Experts may have lengths of their own, and then the dense net's is not needed.
Status CheckFeedForward(const KeyReader& keys, const ModelConfig& config) {
  if (config.n_ff != 0 || !config.HasDenseNets()) return Status();
  return MissingField("the key is required", keys.Key("feed_forward_length"));
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

// What an encoder adds up before its layers.
void ReadEncoderTensors(const GgufFile& file, ModelConfig& config) {
  const GgufTensor* const types = file.FindTensor("token_types.weight");
  constexpr uint64_t kMostTypes = 256;
  if (types != nullptr)
    config.n_token_types =
        static_cast<uint32_t>(std::clamp<uint64_t>(types->n_rows(), 1, kMostTypes));
  config.has_positions = file.FindTensor("position_embd.weight") != nullptr;
  config.has_embedding_norm = file.FindTensor("token_embd_norm.weight") != nullptr;
  config.has_norm_bias = file.FindTensor("token_embd_norm.bias") != nullptr ||
                         AnyLayerHas(file, config, "attn_output_norm.bias") ||
                         AnyLayerHas(file, config, "layer_output_norm.bias");
}

// Converters say of these that they are not causal.
Status ReadCausality(const KeyReader& keys, ModelConfig& config) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<bool> is_causal, keys.Bool("attention.causal"));
  if (is_causal == true)
    return UnsupportedField("every token of this family sees its whole text",
                            keys.Field("attention.causal"));
  config.is_encoder = config.has_sum_norms = true;
  return Status();
}

// What the tensors that are there tell. The table then demands them in every layer.
void ReadTensorPresence(const GgufFile& file, const TransformerTraits& traits,
                        ModelConfig& config) {
  const auto in_any_layer = [&](std::string_view suffix) {
    return AnyLayerHas(file, config, suffix);
  };
  config.has_fused_qkv = in_any_layer("attn_qkv.weight");
  config.has_qkv_bias = traits.requires_qkv_bias || in_any_layer("attn_q.bias") ||
                        in_any_layer("attn_k.bias") || in_any_layer("attn_v.bias") ||
                        in_any_layer("attn_qkv.bias");
  config.has_output_bias = config.has_output_bias || in_any_layer("attn_output.bias");
  config.has_ffn_bias =
      config.experts.count == 0 && (in_any_layer("ffn_gate.bias") || in_any_layer("ffn_up.bias") ||
                                    in_any_layer("ffn_down.bias"));
  config.has_norm_bias = config.norm == NormKind::kLayer &&
                         (in_any_layer("attn_norm.bias") || in_any_layer("ffn_norm.bias") ||
                          file.FindTensor("output_norm.bias") != nullptr);
  if (traits.is_encoder) ReadEncoderTensors(file, config);
  config.has_tied_output = file.FindTensor("output.weight") == nullptr;
  config.has_rope_factors = file.FindTensor("rope_freqs.weight") != nullptr;
  config.has_long_rope_factors = config.rope.scaling == RopeScaling::kLongRope &&
                                 (file.FindTensor("rope_factors_long.weight") != nullptr ||
                                  file.FindTensor("rope_factors_short.weight") != nullptr);
  if (traits.may_lack_qk_norm && !in_any_layer("attn_q_norm.weight") &&
      !in_any_layer("attn_k_norm.weight"))
    config.qk_norm = QkNorm::kNone;
  if (traits.may_have_selection_bias)
    config.experts.has_selection_bias = in_any_layer("exp_probs_b.bias");
  config.experts.is_split = config.experts.count != 0 && in_any_layer("ffn_gate.0.weight");
  if (traits.read_tensors != nullptr) traits.read_tensors(file, config);
}

// Experts in tensors of their own are as many as the keys say before a table of them is made.
Status CheckSplitExperts(const GgufFile& file, const ModelConfig& config) {
  if (!config.experts.is_split) return Status();
  for (uint32_t layer = config.experts.n_dense_layers; layer < config.n_layers; ++layer)
    for (uint32_t expert = 0; expert < config.experts.count; ++expert)
      for (const std::string_view matrix : {"ffn_gate.", "ffn_up.", "ffn_down."}) {
        const std::string name =
            LayerTensorName(layer, std::string(matrix) + std::to_string(expert) + ".weight");
        if (file.FindTensor(name) == nullptr)
          return MissingField(
              "a model with " + std::to_string(config.experts.count) + " experts has this tensor",
              name);
      }
  return Status();
}

}  // namespace

bool AnyLayerHas(const GgufFile& file, const ModelConfig& config, std::string_view suffix) {
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    if (file.FindTensor(LayerTensorName(layer, suffix)) != nullptr) return true;
  return false;
}

Result<ModelConfig> ReadTransformerConfig(const GgufFile& file, const TransformerTraits& traits) {
  const KeyReader keys(file.metadata(), traits.architecture);
  ModelConfig config;
  config.architecture = traits.architecture;
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> name,
                         file.metadata().String("general.name"));
  config.name = SanitizeText(name.value_or(""));
  config.norm = traits.norm;
  config.order = traits.order;
  config.activation = traits.activation;
  config.qk_norm = traits.qk_norm;
  config.turns_before_norm = traits.turns_before_norm;
  config.has_pre_norms = traits.has_pre_norms;
  config.has_post_norms = traits.has_post_norms;
  config.has_gate = traits.has_gate;
  config.has_fused_gate_up = traits.has_fused_gate_up;
  config.has_logit_bias = traits.has_logit_bias;
  config.rope.layout = traits.rope_layout;
  FORGE_TRY(ReadShape(keys, traits, config));
  FORGE_TRY(ReadRope(keys, traits.long_rope, config));
  if (traits.is_encoder) FORGE_TRY(ReadCausality(keys, config));
  if (traits.read_more != nullptr) FORGE_TRY(traits.read_more(keys, config));
  FORGE_TRY(CheckFeedForward(keys, config));
  FORGE_TRY(RefuseUnreadKeys(keys));
  FORGE_TRY(ReadVocabularySize(file, keys, config));
  ReadTensorPresence(file, traits, config);
  FORGE_TRY(CheckSplitExperts(file, config));
  return config;
}

}  // namespace forge
