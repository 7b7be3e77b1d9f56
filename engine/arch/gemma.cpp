#include <cmath>

#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Google's Gemma: embeddings times the root of their length, and a GELU gate. Norm weights have had
// their 1 added by the converter.
namespace forge {
namespace {

// The largest models divide by the embedding's share of a head, not by the head's own size. No key
// says so; llama.cpp too knows them by their layers.
constexpr uint32_t kGemma2Layers27B = 46, kGemma3Layers27B = 62;

void ScaleByEmbeddingShare(ModelConfig& config) {
  config.attention_scale =
      1.0 / std::sqrt(static_cast<double>(config.n_embd) / static_cast<double>(config.n_heads));
}

Status ReadGemma(const KeyReader&, ModelConfig& config) {
  config.embedding_scale = std::sqrt(static_cast<double>(config.n_embd));
  return Status();
}

// Soft caps on attention and logits, and a window over every other layer. The first files lack
// their keys.
Status ReadGemma2(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadGemma(keys, config));
  FORGE_ASSIGN_OR_RETURN(config.attention_soft_cap, keys.PositiveOr("attn_logit_softcapping", 50));
  FORGE_ASSIGN_OR_RETURN(config.final_soft_cap, keys.PositiveOr("final_logit_softcapping", 30));
  if (config.n_layers == kGemma2Layers27B) ScaleByEmbeddingShare(config);
  return ReadWindowPattern(keys, {.default_window = 4096, .period = 2}, config);
}

// A window over five layers of six, whose rotary embedding has a base of its own and no scaling.
Status ReadGemma3(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadGemma(keys, config));
  if (keys.Has("final_logit_softcapping")) {
    FORGE_ASSIGN_OR_RETURN(config.final_soft_cap, keys.PositiveOr("final_logit_softcapping", 30));
  }
  if (config.n_layers == kGemma3Layers27B) ScaleByEmbeddingShare(config);
  RopeConfig local = {.layout = config.rope.layout, .dimension = config.rope.dimension};
  FORGE_ASSIGN_OR_RETURN(local.base, keys.PositiveOr("rope.freq_base_swa", 10000));
  config.window_rope = local;
  return ReadWindowPattern(keys, {.default_window = 0, .period = 6}, config);
}

constexpr TransformerTraits kGemma = {
    .architecture = "gemma", .activation = GateActivation::kGelu, .read_more = ReadGemma};
constexpr TransformerTraits kGemma2 = {.architecture = "gemma2",
                                       .activation = GateActivation::kGelu,
                                       .has_post_norms = true,
                                       .read_more = ReadGemma2};
constexpr TransformerTraits kGemma3 = {.architecture = "gemma3",
                                       .activation = GateActivation::kGelu,
                                       .qk_norm = QkNorm::kHead,
                                       .has_post_norms = true,
                                       .read_more = ReadGemma3};

}  // namespace

Architecture GemmaArchitecture() { return TransformerFamily<kGemma>(); }
Architecture Gemma2Architecture() { return TransformerFamily<kGemma2>(); }
Architecture Gemma3Architecture() { return TransformerFamily<kGemma3>(); }

}  // namespace forge
