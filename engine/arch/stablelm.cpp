#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// The tensors tell whether blocks are parallel: converters write true where a model's own
// configuration says nothing.
Status IgnoreParallelKey(const KeyReader& keys, ModelConfig&) {
  return keys.Bool("use_parallel_residual").status();
}

// StableLM 2 12B has no norm before the feed-forward net, which takes what attention takes.
void ReadOrder(const GgufFile& file, ModelConfig& config) {
  if (!AnyLayerHas(file, config, "ffn_norm.weight")) config.order = BlockOrder::kParallelOneNorm;
}

// Stability's StableLM 3B and 2: layer norms, partial rotation. The 12B model has norms of queries
// and keys, each head's with weights of its own.
constexpr TransformerTraits kTraits = {.architecture = "stablelm",
                                       .norm = NormKind::kLayer,
                                       .qk_norm = QkNorm::kOwnHead,
                                       .may_lack_qk_norm = true,
                                       .read_more = IgnoreParallelKey,
                                       .read_tensors = ReadOrder};

}  // namespace

Architecture StableLmArchitecture() { return TransformerFamily<kTraits>(); }

}  // namespace forge
