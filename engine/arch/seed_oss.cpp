#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// ByteDance's Seed-OSS: Qwen 2's blocks, and a norm before the feed-forward net that is named after
// the attention it follows.
constexpr TransformerTraits kTraits = {.architecture = "seed_oss"};

}  // namespace

Architecture SeedOssArchitecture() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = TensorsWithFfnNormAsPostAttention;
  return family;
}

}  // namespace forge
