#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfChosen,
                                   .normalizes_weights = false,
                                   .shares_feed_forward_length = false};

Status ReadMore(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  config.experts.has_bias = true;
  config.has_output_bias = true;
  config.has_sinks = true;
  return ReadWindowPattern(keys, {.default_window = 0, .period = 2}, config);
}

// OpenAI's gpt-oss: experts with biases and a clamped gate, a sink beside the positions that a head
// attends to, and a window over every other layer.
constexpr TransformerTraits kTraits = {.architecture = "gpt-oss",
                                       .activation = GateActivation::kClampedSwiglu,
                                       .requires_qkv_bias = true,
                                       .read_more = ReadMore};

}  // namespace

Architecture GptOssArchitecture() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = TensorsWithFfnNormAsPostAttention;
  return family;
}

}  // namespace forge
