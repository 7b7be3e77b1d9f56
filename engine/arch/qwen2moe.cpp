#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// Each chosen expert keeps its share of the softmax over all.
constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = true};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  return ReadGatedSharedLength(keys, config);
}

// Qwen 1.5 and 2 with experts: Qwen 2's attention, small experts, and a shared one that every token
// uses through a gate of its own.
constexpr TransformerTraits kTraits = {
    .architecture = "qwen2moe", .requires_qkv_bias = true, .read_more = ReadMore};

}  // namespace

Architecture Qwen2MoeArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
