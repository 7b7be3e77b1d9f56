#pragma once

#include <cstdint>

#include "kernels/base/status.h"

namespace forge {

// Number formats of the KV cache.
enum class KvDType { kF16, kF32 };
constexpr uint64_t KvElementBytes(KvDType dtype) { return dtype == KvDType::kF32 ? 4 : 2; }

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
};

// Checks the shape of a batch: kInvalidArgument for null pointers and negative or zero sizes. Does
// not look at what the pointers point to, which is device memory.
Status Validate(const RaggedBatch& batch);

// The KV cache of one layer, in blocks of block_tokens positions. A sequence's position p is in
// block block_tables[s][(p / block_tokens) % max_blocks] at offset p % block_tokens: a table is a
// ring, so that a layer with a window needs blocks for its window and the tokens of a step only.
// What a step appends and what it attends to must fit the ring; kInvalidArgument otherwise.
//
// A block holds the positions of all KV heads and nothing else, so whole blocks may be copied and
// shared. The order of elements within a block is the device's own; only KvAppend and Attention
// know it.
struct KvLayerView {
  void* keys = nullptr;    // [n_blocks, n_kv_heads * head_dim * block_tokens]
  void* values = nullptr;  // [n_blocks, n_kv_heads * value_dim * block_tokens]
  KvDType dtype = KvDType::kF16;
  int n_blocks = 0;
  int block_tokens = 0;
  int n_kv_heads = 0;
  int head_dim = 0;
  int value_dim = 0;
};
Status Validate(const KvLayerView& cache);

}  // namespace forge
