#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Mixtral's router: the weights of the chosen experts add up to one.
constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false};

Status ReadLlama(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadExperts(keys, kExperts, config));
  return ReadWindowOfAllLayers(keys, config);
}

Status ReadMixtral(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadWindowOfAllLayers(keys, config);
}

// Llama 1 to 3 and the many models converted under its name, Mixtral among them. Biases are rare
// but exist.
constexpr TransformerTraits kLlama = {.architecture = "llama",
                                      .rope_layout = RopeLayout::kInterleaved,
                                      .long_rope = LongRope::kWhereNamed,
                                      .read_more = ReadLlama};
// The same models where a converter kept their own names.
constexpr TransformerTraits kMistral = {
    .architecture = "mistral", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadLlama};
constexpr TransformerTraits kYi = {
    .architecture = "yi", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadLlama};
constexpr TransformerTraits kMixtral = {
    .architecture = "mixtral", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadMixtral};

}  // namespace

Architecture LlamaArchitecture() { return TransformerFamily<kLlama>(); }
Architecture MistralArchitecture() { return TransformerFamily<kMistral>(); }
Architecture MixtralArchitecture() { return TransformerFamily<kMixtral>(); }
Architecture YiArchitecture() { return TransformerFamily<kYi>(); }

}  // namespace forge
