#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

// Tencent's Hunyuan, dense and with experts. Norms of heads come after rotation, where they undo
// what a scaled rotation multiplies by.
namespace forge {
namespace {

constexpr ExpertTraits kExperts = {.gating = ExpertGating::kSoftmaxOfAll,
                                   .normalizes_weights = true,
                                   .shares_feed_forward_length = false};

// Without a length of its own the shared expert has that of a dense net.
Status ReadMoe(const KeyReader& keys, ModelConfig& config) {
  FORGE_TRY(RequireExperts(keys, kExperts, config));
  FORGE_TRY(ReadSharedLength(keys, config));
  uint32_t& length = config.experts.n_shared_ff;
  if (length == 0) length = config.n_ff;
  if (length != 0) return Status();
  return MissingField("without the key, feed_forward_length tells the length of the shared expert",
                      keys.Key("expert_shared_feed_forward_length"));
}

constexpr TransformerTraits kDense = {
    .architecture = "hunyuan-dense", .qk_norm = QkNorm::kHead, .turns_before_norm = true};
constexpr TransformerTraits kMoe = {.architecture = "hunyuan-moe",
                                    .qk_norm = QkNorm::kHead,
                                    .turns_before_norm = true,
                                    .read_more = ReadMoe};

}  // namespace

Architecture HunyuanDenseArchitecture() { return TransformerFamily<kDense>(); }
Architecture HunyuanMoeArchitecture() { return TransformerFamily<kMoe>(); }

}  // namespace forge
