#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/base/status.h"

namespace forge {

// Number formats of the KV cache. kQ8_0: each 32 elements along a head are int8 that share one
// binary16 scale, in 34 bytes.
enum class KvDType { kF16, kF32, kBf16, kQ8_0 };
inline constexpr int kKvDTypes = 4;
inline constexpr int kKvBlockElements = 32;  // that share a scale in kQ8_0

// What n_elements of a cache take. REQUIRES: for kQ8_0, n_elements is a multiple of 32.
constexpr uint64_t KvBytes(KvDType dtype, uint64_t n_elements) {
  if (dtype == KvDType::kQ8_0) return n_elements / kKvBlockElements * (kKvBlockElements + 2);
  return n_elements * (dtype == KvDType::kF32 ? 4 : 2);
}

// "f16", "f32", "bf16" or "q8_0": how users write it.
std::string_view KvDTypeName(KvDType dtype);

// Tokens of several sequences that go through the model together. Token t of the batch belongs to
// exactly one sequence; the tokens of a sequence are adjacent and in order of position.
// All pointers are device memory.
struct RaggedBatch {
  int n_tokens = 0;
  int n_sequences = 0;
  const int32_t* positions = nullptr;       // [n_tokens], position of each token in its sequence
  const int32_t* token_sequence = nullptr;  // [n_tokens], index into the sequences of this batch
  const int32_t* first_token = nullptr;     // [n_sequences + 1], the batch range of each sequence
  const int32_t* block_tables = nullptr;    // [n_sequences, max_blocks], see KvLayerView
  int max_blocks = 0;
  int n_decodes = 0;  // so many sequences that the batch begins with have one token each
  // The last so many tokens are of prompts: whole sequences. What was given (a prompt) comes in
  // large batches, what is generated seldom does. A device may round them differently, each the
  // best way for it, so that what a token of either kind gives does not depend on the other tokens
  // of the step.
  int n_prompt_tokens = 0;
};

// Checks the shape of a batch: kInvalidArgument for null pointers and negative or zero sizes. Does
// not look at what the pointers point to, which is device memory.
Status Validate(const RaggedBatch& batch);

// The same of what ops without a KV cache read: n_tokens, n_sequences and first_token.
Status ValidateSequences(const RaggedBatch& batch);

// The KV cache of one layer, in blocks of block_tokens positions. A sequence's position p is in
// block block_tables[s][(p / block_tokens) % max_blocks] at offset p % block_tokens: a table is a
// ring, so that a layer with a window needs blocks for its window and the tokens of a step only.
// What a step appends and what it attends to must fit the ring; kInvalidArgument otherwise.
//
// A block holds the positions of all KV heads and nothing else, so whole blocks may be copied and
// shared. The order of elements within a block is the device's own; only RopeAppend and Attention
// know it.
struct KvLayerView {
  void* keys = nullptr;    // [n_blocks, n_kv_heads * head_dim * block_tokens], as KvBytes counts
  void* values = nullptr;  // [n_blocks, n_kv_heads * value_dim * block_tokens]; see values_in_keys
  KvDType dtype = KvDType::kF16;
  int n_blocks = 0;
  int block_tokens = 0;
  int n_kv_heads = 0;
  int head_dim = 0;  // for kQ8_0 a multiple of 32, as is value_dim
  int value_dim = 0;
  // A value is the last value_dim elements of its key, as in latent attention; `values` is not
  // read.
  bool values_in_keys = false;
};
Status Validate(const KvLayerView& cache);

}  // namespace forge
