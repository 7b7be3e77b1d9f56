#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// ChatGLM 3 and GLM 4 9B: half of each head is rotated, QKV is one tensor with a bias, and so are
// gate and up.
constexpr TransformerTraits kChatGlm = {
    .architecture = "chatglm", .rope_layout = RopeLayout::kInterleaved, .has_fused_gate_up = true};
// GLM 4 of 2025: norms of what attention and feed-forward add.
constexpr TransformerTraits kGlm4 = {.architecture = "glm4",
                                     .rope_layout = RopeLayout::kInterleaved,
                                     .has_post_norms = true,
                                     .has_fused_gate_up = true};

}  // namespace

Architecture ChatGlmArchitecture() { return TransformerFamily<kChatGlm>(); }
Architecture Glm4Architecture() { return TransformerFamily<kGlm4>(); }

}  // namespace forge
