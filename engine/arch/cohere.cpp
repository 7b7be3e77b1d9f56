#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Cohere's Command and Aya: layer norms without biases, and blocks whose attention and feed-forward
// net take the same norm.
namespace forge {
namespace {

// Multiplies the logits, where Granite's key of this name divides them.
Status ReadLogitScale(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(keys.RequiredPositive("logit_scale").status());
  FORGE_ASSIGN_OR_RETURN(config.logit_scale, ReadScale(keys, "logit_scale", 1));
  return Status();
}

// A window over three layers of four; the others see everything and know no positions.
Status ReadCohere2(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(ReadLogitScale(keys, config));
  FORGE_TRY(ReadWindowPattern(keys, {.default_window = 0, .period = 4}, config));
  config.unrotated = config.windowed;
  config.unrotated.flip();
  return Status();
}

// Command R, Aya 23 and Aya Expanse; Command R+ has norms of queries and keys, each head's with
// weights of its own.
constexpr TransformerTraits kCommandR = {.architecture = "command-r",
                                         .rope_layout = RopeLayout::kInterleaved,
                                         .norm = NormKind::kLayer,
                                         .order = BlockOrder::kParallelOneNorm,
                                         .qk_norm = QkNorm::kOwnHead,
                                         .may_lack_qk_norm = true,
                                         .read_more = ReadLogitScale};
// Command R7B and Command A.
constexpr TransformerTraits kCohere2 = {.architecture = "cohere2",
                                        .rope_layout = RopeLayout::kInterleaved,
                                        .norm = NormKind::kLayer,
                                        .order = BlockOrder::kParallelOneNorm,
                                        .read_more = ReadCohere2};

}  // namespace

Architecture CommandRArchitecture() { return TransformerFamily<kCommandR>(); }
Architecture Cohere2Architecture() { return TransformerFamily<kCohere2>(); }

}  // namespace forge
