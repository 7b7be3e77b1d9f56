#include "kernels/api/ragged_batch.h"

#include <string>

namespace forge {

std::string_view KvDTypeName(KvDType dtype) {
  constexpr std::string_view kNames[kKvDTypes] = {"f16", "f32", "bf16", "q8_0"};
  return kNames[static_cast<size_t>(dtype)];
}

Status ValidateSequences(const RaggedBatch& batch) {
  if (batch.n_tokens < 0 || batch.n_sequences < 0)
    return InvalidArgument("ragged batch: a size is negative: n_tokens " +
                           std::to_string(batch.n_tokens) + ", n_sequences " +
                           std::to_string(batch.n_sequences));
  if (batch.n_tokens == 0) return Status();
  if (batch.n_sequences == 0 || batch.n_sequences > batch.n_tokens)
    return InvalidArgument("ragged batch: tokens need 1 to n_tokens sequences: n_sequences " +
                           std::to_string(batch.n_sequences) + ", n_tokens " +
                           std::to_string(batch.n_tokens));
  if (batch.first_token == nullptr) return InvalidArgument("ragged batch: first_token is null");
  return Status();
}

Status Validate(const RaggedBatch& batch) {
  FORGE_TRY(ValidateSequences(batch));
  if (batch.max_blocks < 0)
    return InvalidArgument("ragged batch: max_blocks is negative: " +
                           std::to_string(batch.max_blocks));
  if (batch.n_tokens == 0) return Status();
  if (batch.n_decodes < 0 || batch.n_decodes > batch.n_sequences)
    return InvalidArgument("ragged batch: n_decodes must be in [0, " +
                           std::to_string(batch.n_sequences) +
                           "], the number of sequences: " + std::to_string(batch.n_decodes));
  if (batch.n_prompt_tokens < 0 || batch.n_prompt_tokens > batch.n_tokens)
    return InvalidArgument("ragged batch: n_prompt_tokens is " +
                           std::to_string(batch.n_prompt_tokens) + " of " +
                           std::to_string(batch.n_tokens) + " tokens");
  if (batch.max_blocks == 0)
    return InvalidArgument("ragged batch: block tables have no room for a block: max_blocks 0");
  if (batch.positions == nullptr || batch.token_sequence == nullptr ||
      batch.block_tables == nullptr)
    return InvalidArgument("ragged batch: positions, token_sequence or block_tables is null");
  return Status();
}

Status Validate(const KvLayerView& cache) {
  if (cache.n_blocks <= 0 || cache.block_tokens <= 0 || cache.n_kv_heads <= 0 ||
      cache.head_dim <= 0 || cache.value_dim <= 0)
    return InvalidArgument(
        "kv cache: a size is not positive: n_blocks " + std::to_string(cache.n_blocks) +
        ", block_tokens " + std::to_string(cache.block_tokens) + ", n_kv_heads " +
        std::to_string(cache.n_kv_heads) + ", head_dim " + std::to_string(cache.head_dim) +
        ", value_dim " + std::to_string(cache.value_dim));
  const auto dtype = static_cast<int>(cache.dtype);
  if (dtype < 0 || dtype >= kKvDTypes)
    return InvalidArgument("kv cache: there is no such number format: " + std::to_string(dtype));
  if (cache.dtype == KvDType::kQ8_0 &&
      (cache.head_dim % kKvBlockElements != 0 || cache.value_dim % kKvBlockElements != 0))
    return InvalidArgument("kv cache: q8_0 needs head_dim and value_dim to be multiples of 32: " +
                           std::string("head_dim ") + std::to_string(cache.head_dim) +
                           ", value_dim " + std::to_string(cache.value_dim));
  if (cache.values_in_keys && cache.value_dim > cache.head_dim)
    return InvalidArgument("kv cache: a value in its key is no longer than that: head_dim " +
                           std::to_string(cache.head_dim) + ", value_dim " +
                           std::to_string(cache.value_dim));
  if (cache.keys == nullptr || (cache.values == nullptr && !cache.values_in_keys))
    return InvalidArgument("kv cache: keys or values is null");
  return Status();
}

}  // namespace forge
