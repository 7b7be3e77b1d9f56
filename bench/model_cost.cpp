#include "bench/model_cost.h"

#include <algorithm>
#include <string_view>

#include "engine/gguf/gguf_file.h"

namespace forge {
namespace {

Result<uint32_t> KeyOr(const GgufMetadata& metadata, const std::string& key, uint32_t fallback) {
  FORGE_ASSIGN_OR_RETURN(const std::optional<uint32_t> value, metadata.Uint32(key));
  return value.value_or(fallback);
}

// Those that a token goes through. Layers that guess tokens further ahead come after them.
struct Layers {
  uint32_t n_used = 0, n_left_out = 0;

  bool LeavesOut(std::string_view tensor) const {
    for (uint32_t i = 0; i < n_left_out; ++i)
      if (tensor.starts_with("blk." + std::to_string(n_used + i) + '.')) return true;
    return false;
  }
};

Result<Layers> ReadLayers(const GgufMetadata& metadata, const std::string& prefix) {
  Layers layers;
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_all, KeyOr(metadata, prefix + "block_count", 0));
  FORGE_ASSIGN_OR_RETURN(layers.n_left_out, KeyOr(metadata, prefix + "nextn_predict_layers", 0));
  layers.n_left_out = std::min(layers.n_left_out, n_all);
  layers.n_used = n_all - layers.n_left_out;
  return layers;
}

Result<uint64_t> ReadKvElements(const GgufMetadata& metadata, const std::string& prefix,
                                uint32_t n_layers) {
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_embd, KeyOr(metadata, prefix + "embedding_length", 0));
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_heads,
                         KeyOr(metadata, prefix + "attention.head_count", 0));
  if (n_layers == 0 || n_embd == 0 || n_heads == 0)
    return InvalidArgument("the model file lacks " + prefix + "block_count, embedding_length or " +
                           "attention.head_count");
  // The cache of latent attention holds what all heads share, whatever the file says of heads.
  FORGE_ASSIGN_OR_RETURN(const uint32_t latent_rank,
                         KeyOr(metadata, prefix + "attention.kv_lora_rank", 0));
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_turned,
                         KeyOr(metadata, prefix + "rope.dimension_count", 0));
  if (latent_rank != 0) return uint64_t{n_layers} * (uint64_t{latent_rank} + n_turned);
  // Some families have a number for each layer; then the cache counts as if it were not grouped.
  const Result<uint32_t> grouped = KeyOr(metadata, prefix + "attention.head_count_kv", n_heads);
  const uint32_t n_kv_heads = grouped.ok() ? *grouped : n_heads;
  FORGE_ASSIGN_OR_RETURN(const uint32_t key_dim,
                         KeyOr(metadata, prefix + "attention.key_length", n_embd / n_heads));
  FORGE_ASSIGN_OR_RETURN(const uint32_t value_dim,
                         KeyOr(metadata, prefix + "attention.value_length", n_embd / n_heads));
  return uint64_t{n_layers} * n_kv_heads * (uint64_t{key_dim} + value_dim);
}

}  // namespace

double ModelCost::BytesPerToken(const SpeedTest& test, KvDType kv_dtype) const {
  const double n_positions = test.n_depth + 0.5 * test.n_gen;
  return static_cast<double>(weight_bytes) +
         n_positions * static_cast<double>(KvBytes(kv_dtype, kv_elements));
}

Result<ModelCost> ReadModelCost(const std::string& path) {
  FORGE_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::Open(path));
  FORGE_ASSIGN_OR_RETURN(const std::optional<std::string_view> architecture,
                         file->metadata().String("general.architecture"));
  if (!architecture) return InvalidArgument("the model file has no key general.architecture");
  const std::string prefix = std::string(*architecture) + ".";
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_experts,
                         KeyOr(file->metadata(), prefix + "expert_count", 0));
  FORGE_ASSIGN_OR_RETURN(const uint32_t n_used,
                         KeyOr(file->metadata(), prefix + "expert_used_count", n_experts));
  ModelCost cost;
  FORGE_ASSIGN_OR_RETURN(const Layers layers, ReadLayers(file->metadata(), prefix));
  FORGE_ASSIGN_OR_RETURN(cost.kv_elements, ReadKvElements(file->metadata(), prefix, layers.n_used));
  const bool has_output = file->FindTensor("output.weight") != nullptr;
  for (const GgufTensor& tensor : file->tensors()) {
    if (tensor.name == "token_embd.weight" && has_output) continue;
    if (tensor.name == "per_layer_token_embd.weight") continue;  // looked up, as embeddings are
    if (layers.LeavesOut(tensor.name)) continue;
    const bool is_expert = n_experts > 0 && tensor.name.find("_exps.") != std::string::npos;
    const uint64_t numerator = is_expert ? n_used : 1, denominator = is_expert ? n_experts : 1;
    cost.weight_bytes += tensor.size_bytes / denominator * numerator;
    if (tensor.n_dims < 2) continue;
    const bool is_output = tensor.name == "output.weight" || tensor.name == "token_embd.weight";
    (is_output ? cost.output_multiplied : cost.multiplied) +=
        tensor.row_elements() * tensor.n_rows() / denominator * numerator;
  }
  return cost;
}

}  // namespace forge
