#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = true};

Status ReadMoe(const KeyReader& keys, ModelConfig& config) {
  return RequireExperts(keys, kExperts, config);
}

Status ReadVision(const KeyReader& keys, ModelConfig&) { return ReadRopeSections(keys); }

Status ReadVisionMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadRopeSections(keys));
  return RequireExperts(keys, kExperts, config);
}

// Qwen 3: a norm of each head's queries and keys in place of Qwen 2's biases.
constexpr TransformerTraits kDense = {.architecture = "qwen3", .qk_norm = QkNorm::kHead};
constexpr TransformerTraits kMoe = {
    .architecture = "qwen3moe", .qk_norm = QkNorm::kHead, .read_more = ReadMoe};
// The text part of Qwen 3 VL.
constexpr TransformerTraits kVision = {
    .architecture = "qwen3vl", .qk_norm = QkNorm::kHead, .read_more = ReadVision};
constexpr TransformerTraits kVisionMoe = {
    .architecture = "qwen3vlmoe", .qk_norm = QkNorm::kHead, .read_more = ReadVisionMoe};

}  // namespace

Architecture Qwen3Architecture() { return TransformerFamily<kDense>(); }
Architecture Qwen3MoeArchitecture() { return TransformerFamily<kMoe>(); }
Architecture Qwen3VlArchitecture() { return TransformerFamily<kVision>(); }
Architecture Qwen3VlMoeArchitecture() { return TransformerFamily<kVisionMoe>(); }

}  // namespace forge
