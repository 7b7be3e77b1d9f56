#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = true};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  return RequireExperts(keys, kExperts, config);
}

// Qwen 3: a norm of each head's queries and keys in place of Qwen 2's biases.
constexpr TransformerTraits kDense = {.architecture = "qwen3", .has_qk_norm = true};
constexpr TransformerTraits kMoe = {
    .architecture = "qwen3moe", .has_qk_norm = true, .read_more = ReadMore};

}  // namespace

Architecture Qwen3Architecture() { return TransformerFamily<kDense>(); }
Architecture Qwen3MoeArchitecture() { return TransformerFamily<kMoe>(); }

}  // namespace forge
