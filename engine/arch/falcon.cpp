#include "engine/arch/families.h"
#include "engine/arch/transformer.h"

namespace forge {
namespace {

// The models of 40B and more have a norm each for attention and the feed-forward net.
void ReadOrder(const GgufFile& file, ModelConfig& config) {
  if (AnyLayerHas(file, config, "attn_norm_2.weight")) config.order = BlockOrder::kParallel;
}

// TII's Falcon 7B, 11B, 40B and 180B: layer norms, attention and feed-forward net beside each
// other.
constexpr TransformerTraits kTraits = {.architecture = "falcon",
                                       .norm = NormKind::kLayer,
                                       .order = BlockOrder::kParallelOneNorm,
                                       .activation = GateActivation::kGelu,
                                       .has_gate = false,
                                       .read_tensors = ReadOrder};

// Of two norms the second is that of attention.
std::vector<TensorSpec> Tensors(const ModelConfig& config) {
  std::vector<TensorSpec> specs = TransformerTensors(config);
  if (config.order == BlockOrder::kParallelOneNorm) return specs;
  const auto rename = [](TensorSpec& spec, std::string_view name) {
    spec.file_tensor = LayerTensorName(static_cast<uint32_t>(spec.layer), name);
  };
  for (TensorSpec& spec : specs) {
    if (spec.role == WeightRole::kAttnNorm) rename(spec, "attn_norm_2.weight");
    if (spec.role == WeightRole::kAttnNormBias) rename(spec, "attn_norm_2.bias");
    if (spec.role == WeightRole::kFfnNorm) rename(spec, "attn_norm.weight");
    if (spec.role == WeightRole::kFfnNormBias) rename(spec, "attn_norm.bias");
  }
  return specs;
}

}  // namespace

Architecture FalconArchitecture() {
  Architecture family = TransformerFamily<kTraits>();
  family.tensors = Tensors;
  return family;
}

}  // namespace forge
