#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/api/ragged_batch.h"
#include "kernels/api/rope_append.h"
#include "tests/kernels/op_test.h"

// A cache of one layer for the tests of RopeAppend and Attention, and the batches that go with it.
namespace forge::testing {

struct CacheShape {
  KvDType dtype = KvDType::kF16;
  int block_tokens = 32;
  int n_kv_heads = 2;
  int head_dim = 64;
  int value_dim = 64;
  bool values_in_keys = false;
};

// What tests are parametrised over.
inline const std::vector<KvDType>& KvDTypes() {
  static const std::vector<KvDType> kTypes = {KvDType::kF16, KvDType::kF32, KvDType::kBf16,
                                              KvDType::kQ8_0};
  return kTypes;
}

// The size next to `dim` that heads of a cache of `dtype` can have.
inline int HeadSize(KvDType dtype, int dim) {
  return dtype == KvDType::kQ8_0 ? (dim + 31) / 32 * 32 : dim;
}

// Which tokens of a sequence a batch holds.
struct Piece {
  int sequence;
  int first_position;
  int n_tokens;
};

// Owns the cache and the history of some sequences. Blocks are handed out in random order, and
// memory that nothing was appended to is NaN, so that reading it shows.
class PagedCache {
 public:
  PagedCache(const CacheShape& shape, int n_sequences, int max_positions, std::mt19937& random)
      : shape_(shape),
        n_sequences_(n_sequences),
        max_positions_(max_positions),
        max_blocks_((max_positions + shape.block_tokens - 1) / shape.block_tokens),
        keys_(CacheBytes(shape.head_dim)),
        values_(CacheBytes(shape.value_dim)) {
    std::memset(keys_.data(), 0xff, keys_.span().size());
    std::memset(values_.data(), 0xff, values_.span().size());
    tables_.resize(static_cast<size_t>(n_sequences * max_blocks_));
    for (size_t i = 0; i < tables_.size(); ++i) tables_[i] = static_cast<int32_t>(i);
    std::shuffle(tables_.begin(), tables_.end(), random);
    const auto n_tokens = static_cast<size_t>(n_sequences) * static_cast<size_t>(max_positions);
    const auto heads = static_cast<size_t>(shape.n_kv_heads);
    all_keys_ = NormalFloats(n_tokens * heads * static_cast<size_t>(shape.head_dim), random);
    all_values_ = NormalFloats(n_tokens * heads * static_cast<size_t>(shape.value_dim), random);
    if (shape.values_in_keys) TakeValuesFromKeys(n_tokens * heads);
  }

  KvLayerView view() {
    return {.keys = keys_.data(),
            .values = shape_.values_in_keys ? nullptr : values_.data(),
            .dtype = shape_.dtype,
            .n_blocks = static_cast<int>(tables_.size()),
            .block_tokens = shape_.block_tokens,
            .n_kv_heads = shape_.n_kv_heads,
            .head_dim = shape_.head_dim,
            .value_dim = shape_.value_dim,
            .values_in_keys = shape_.values_in_keys};
  }
  // The history as float32: keys and values of a sequence from its position 0 on.
  const float* keys_of(int sequence, int position = 0) const {
    return all_keys_.data() + Token(sequence, position) * shape_.n_kv_heads * shape_.head_dim;
  }
  const float* values_of(int sequence, int position = 0) const {
    return all_values_.data() + Token(sequence, position) * shape_.n_kv_heads * shape_.value_dim;
  }
  const int32_t* table_of(int sequence) const { return tables_.data() + sequence * max_blocks_; }
  int max_blocks() const { return max_blocks_; }
  // From now on the tables of new batches have the first n_blocks entries only, as rings, and all
  // memory is NaN again. REQUIRES: one sequence, which fills more than n_blocks.
  void UseRing(int n_blocks) {
    max_blocks_ = std::min(max_blocks_, n_blocks);
    std::memset(keys_.data(), 0xff, keys_.span().size());
    std::memset(values_.data(), 0xff, values_.span().size());
  }
  bool GuardsIntact() const { return keys_.GuardsIntact() && values_.GuardsIntact(); }
  const GuardedArray<std::byte>& key_bytes() const { return keys_; }
  const GuardedArray<std::byte>& value_bytes() const { return values_; }

 private:
  void TakeValuesFromKeys(size_t n_heads) {
    const auto head_dim = static_cast<size_t>(shape_.head_dim);
    const auto value_dim = static_cast<size_t>(shape_.value_dim);
    for (size_t i = 0; i < n_heads; ++i)
      std::copy_n(all_keys_.data() + (i + 1) * head_dim - value_dim, value_dim,
                  all_values_.data() + i * value_dim);
  }
  size_t CacheBytes(int dim) const {
    return KvBytes(shape_.dtype, static_cast<size_t>(n_sequences_) *
                                     static_cast<size_t>(max_blocks_) *
                                     static_cast<size_t>(shape_.n_kv_heads * shape_.block_tokens) *
                                     static_cast<size_t>(dim));
  }
  int64_t Token(int sequence, int position) const {
    return static_cast<int64_t>(sequence) * max_positions_ + position;
  }

  CacheShape shape_;
  int n_sequences_;
  int max_positions_;
  int max_blocks_;
  GuardedArray<std::byte> keys_;
  GuardedArray<std::byte> values_;
  std::vector<int32_t> tables_;
  std::vector<float> all_keys_;
  std::vector<float> all_values_;
};

// The arrays of a RaggedBatch, and the keys and values of its tokens.
class Batch {
 public:
  Batch(const PagedCache& cache, const CacheShape& shape, const std::vector<Piece>& pieces)
      : max_blocks_(cache.max_blocks()), first_token_{0} {
    for (const Piece& piece : pieces) {
      const auto index = static_cast<int32_t>(first_token_.size()) - 1;
      if (n_decodes_ == index && piece.n_tokens == 1) ++n_decodes_;
      for (int i = 0; i < piece.n_tokens; ++i) {
        positions_.push_back(piece.first_position + i);
        token_sequence_.push_back(index);
      }
      first_token_.push_back(static_cast<int32_t>(positions_.size()));
      const int32_t* table = cache.table_of(piece.sequence);
      tables_.insert(tables_.end(), table, table + max_blocks_);
      const float* keys = cache.keys_of(piece.sequence, piece.first_position);
      keys_.insert(keys_.end(), keys, keys + piece.n_tokens * shape.n_kv_heads * shape.head_dim);
      const float* values = cache.values_of(piece.sequence, piece.first_position);
      values_.insert(values_.end(), values,
                     values + piece.n_tokens * shape.n_kv_heads * shape.value_dim);
    }
  }

  int n_tokens() const { return static_cast<int>(positions_.size()); }
  RaggedBatch view() const {
    return {.n_tokens = n_tokens(),
            .n_sequences = static_cast<int>(first_token_.size()) - 1,
            .positions = positions_.data(),
            .token_sequence = token_sequence_.data(),
            .first_token = first_token_.data(),
            .block_tables = tables_.data(),
            .max_blocks = max_blocks_,
            .n_decodes = n_decodes_};
  }
  RopeAppendArgs append_args(PagedCache& cache) {
    const KvLayerView view_of_cache = cache.view();
    return {.batch = view(),
            .cache = view_of_cache,
            .keys = keys_.data(),
            .values = view_of_cache.values_in_keys ? nullptr : values_.data()};
  }

 private:
  int max_blocks_;
  int n_decodes_ = 0;
  std::vector<int32_t> positions_;
  std::vector<int32_t> token_sequence_;
  std::vector<int32_t> first_token_;
  std::vector<int32_t> tables_;
  std::vector<float> keys_;
  std::vector<float> values_;
};

}  // namespace forge::testing
