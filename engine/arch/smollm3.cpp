#include "engine/arch/config_parts.h"
#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// No key says which layers know no positions; it is each fourth in all that were published.
constexpr uint32_t kUnrotatedPeriod = 4;

Status ReadMore(const KeyReader&, ModelConfig& config) {
  for (uint32_t layer = 0; layer < config.n_layers; ++layer)
    config.unrotated.push_back((layer + 1) % kUnrotatedPeriod == 0);
  return Status();
}

// Hugging Face's SmolLM 3: Llama's blocks, each fourth without rotation.
constexpr TransformerTraits kTraits = {
    .architecture = "smollm3", .rope_layout = RopeLayout::kInterleaved, .read_more = ReadMore};

}  // namespace

Architecture SmolLm3Architecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
