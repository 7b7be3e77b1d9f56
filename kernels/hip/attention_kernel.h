#pragma once

#include <cstdint>

#include "kernels/hip/attention.h"
#include "kernels/hip/kv_layout.h"

namespace forge {

// A block of threads computes some query rows (a token and a query head each) of one KV head, over
// tiles of 32 positions: scores, an online softmax (Milakov and Gimelshein, arXiv:1805.02867; Dao
// et al., arXiv:2205.14135), weighted values. So a position is read once for all rows of the block:
// the query heads that share it, and in a prompt several tokens.
//
// Positions may be split among blocks: split z of S takes the partitions z, z + S, z + 2 S, ... of
// 256 positions and leaves a softmax of its own, which CombineSplitsKernel merges. Tiles and
// partitions start at multiples of their size, so a row's bits depend on its position and on S
// only.

constexpr int kAttentionThreads = 128;
constexpr int kTilePositions = 32;
constexpr int kPartitionPositions = 256;
constexpr int kDimChunk = 64;  // dimensions of keys that are staged at once
constexpr int kMaxSplits = 32;

// Shared memory that every device gives a block without being asked.
constexpr size_t kSharedBytes = 48 << 10;

struct AttentionLaunch {
  AttentionArgs args;
  int group;        // query heads of a KV head
  int tile_heads;   // of these, in a block
  int head_groups;  // blocks that a KV head's query heads take
  int tile_tokens;  // adjacent tokens of a block
  int n_splits;
  float* sums;    // [n_tokens, n_heads, n_splits, value_dim], of exponentials times values
  float* maxima;  // [n_tokens, n_heads, n_splits]
  float* totals;  // [n_tokens, n_heads, n_splits], of exponentials; 0: the split saw no position
};

// The rows of a block: adjacent tokens of one sequence times the heads of the tile.
struct RowRun {
  int first_token;
  int n_tokens;
  int sequence;  // -1: none that there is
  int kv_head;
  int first_head;  // query head
  int n_heads;
};

// Dynamic shared memory, in floats.
template <int kRows>
constexpr size_t AttentionSharedFloats(int head_dim, int value_dim) {
  return static_cast<size_t>(kRows) *
         (static_cast<size_t>(head_dim) + static_cast<size_t>(value_dim));
}

// What the threads of a block share beside the staged keys.
struct AttentionState {
  float* queries;      // [kRows, head_dim]
  float* sums;         // [kRows, value_dim]
  float* weights;      // [kRows, kTilePositions], scores and then their exponentials
  float* maxima;       // [kRows]
  float* totals;       // [kRows]
  float* corrections;  // [kRows], what the tile before is worth under the new maximum
  int* blocks;         // [kTilePositions], of the cache; -1: not there
};

FORGE_DEVICE int FirstSeen(int position, int window) {
  return window == 0 || position < window ? 0 : position - window + 1;
}

template <int kRows>
FORGE_DEVICE void StartRows(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state) {
  const int head_dim = launch.args.cache.head_dim, value_dim = launch.args.cache.value_dim;
  const int thread = static_cast<int>(threadIdx.x);
  for (int row = 0; row < kRows; ++row) {
    const int token = row / launch.tile_heads, head = row % launch.tile_heads;
    const bool is_there = token < run.n_tokens && head < run.n_heads;
    const int64_t index =
        static_cast<int64_t>(run.first_token + token) * launch.args.n_heads + run.first_head + head;
    for (int d = thread; d < head_dim; d += kAttentionThreads)
      state.queries[row * head_dim + d] = is_there ? launch.args.q[index * head_dim + d] : 0.0f;
    for (int d = thread; d < value_dim; d += kAttentionThreads)
      state.sums[row * value_dim + d] = 0.0f;
  }
  if (thread < kRows) {
    state.maxima[thread] = -INFINITY;
    state.totals[thread] = 0.0f;
  }
}

// The scores of the tile's positions, of which those outside of [first, end) are 0 and not read.
template <KvDType kDType, int kRows>
FORGE_DEVICE void ScoreTile(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state, int tile_start, int first, int end) {
  constexpr int kStride = kDimChunk + 1;  // no two rows start in the same bank
  constexpr int kRowLanes = kAttentionThreads / kTilePositions;
  FORGE_SHARED(float, keys, kTilePositions* kStride);
  const KvLayerView& cache = launch.args.cache;
  const int thread = static_cast<int>(threadIdx.x);
  const int column = thread % kTilePositions;
  const int first_row = thread / kTilePositions;
  float scores[kRows / kRowLanes] = {};
  for (int chunk = 0; chunk < cache.head_dim; chunk += kDimChunk) {
    const int n_dims = cache.head_dim - chunk < kDimChunk ? cache.head_dim - chunk : kDimChunk;
    for (int i = thread; i < kTilePositions * kDimChunk; i += kAttentionThreads) {
      const int j = i / kDimChunk, d = i % kDimChunk;
      const int position = tile_start + j;
      float key = 0.0f;
      if (d < n_dims && position >= first && position < end) {
        key = NAN;
        if (state.blocks[j] >= 0)
          key = LoadKvElement<kDType>(
              FindKvHead<kDType>(cache.keys, cache, cache.head_dim, state.blocks[j], run.kv_head),
              cache.head_dim, position % cache.block_tokens, chunk + d);
      }
      keys[j * kStride + d] = key;
    }
    __syncthreads();
    for (int d = 0; d < n_dims; ++d) {
      const float key = keys[column * kStride + d];
      FORGE_UNROLL
      for (int i = 0; i < kRows / kRowLanes; ++i)
        scores[i] = fmaf(state.queries[(first_row + i * kRowLanes) * cache.head_dim + chunk + d],
                         key, scores[i]);
    }
    __syncthreads();  // the next chunk takes the place of this one
  }
  FORGE_UNROLL
  for (int i = 0; i < kRows / kRowLanes; ++i) {
    float score = scores[i] * launch.args.scale;
    if (launch.args.soft_cap != 0.0f)
      score = launch.args.soft_cap * tanhf(score / launch.args.soft_cap);
    state.weights[(first_row + i * kRowLanes) * kTilePositions + column] = score;
  }
}

// Turns the tile's scores into weights, 0 for what a row does not see, and takes them into the
// rows' maxima and totals. A row that sees nothing of the tile keeps its state bit for bit.
template <int kRows>
FORGE_DEVICE void WeighTile(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state, int tile_start) {
  constexpr int kLanes = kAttentionThreads / kRows;  // of a row
  constexpr int kColumns = kTilePositions / kLanes;
  const int row = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int token = row / launch.tile_heads;
  const bool is_there = token < run.n_tokens;
  const int position = is_there ? launch.args.batch.positions[run.first_token + token] : -1;
  const int first = FirstSeen(position, launch.args.window);
  float scores[kColumns];
  float greatest = -INFINITY;
  FORGE_UNROLL
  for (int i = 0; i < kColumns; ++i) {
    const int at = tile_start + lane + i * kLanes;
    const bool is_seen = at >= first && at <= position;
    scores[i] = is_seen ? state.weights[row * kTilePositions + lane + i * kLanes] : -INFINITY;
    greatest = fmaxf(greatest, scores[i]);
  }
  FORGE_UNROLL
  for (int mask = 1; mask < kLanes; mask *= 2)
    greatest = fmaxf(greatest, ShuffleXor<kLanes>(greatest, mask));
  const float before = state.maxima[row];
  const float maximum = fmaxf(before, greatest);
  // Also where every score is minus infinity, since their difference is no number.
  const float shift = maximum == -INFINITY ? 0.0f : maximum;
  // The same pairs are added first however many lanes a row has, so that its bits do not depend on
  // that: lanes apart by a power of two, then columns.
  float totals[kColumns];
  FORGE_UNROLL
  for (int i = 0; i < kColumns; ++i) {
    const int at = tile_start + lane + i * kLanes;
    const bool is_seen = at >= first && at <= position;
    totals[i] = is_seen ? expf(scores[i] - shift) : 0.0f;
    state.weights[row * kTilePositions + lane + i * kLanes] = totals[i];
    FORGE_UNROLL
    for (int mask = 1; mask < kLanes; mask *= 2) totals[i] += ShuffleXor<kLanes>(totals[i], mask);
  }
  FORGE_UNROLL
  for (int step = 1; step < kColumns; step *= 2) {
    FORGE_UNROLL
    for (int i = 0; i + step < kColumns; i += 2 * step) totals[i] += totals[i + step];
  }
  const float total = totals[0];
  if (lane != 0) return;
  const float correction = before == -INFINITY ? 0.0f : expf(before - shift);
  state.corrections[row] = correction;
  state.totals[row] = fmaf(state.totals[row], correction, total);
  state.maxima[row] = maximum;
}

// Adds the tile's weighted values. What a row does not see is left out, not multiplied by 0: it may
// be no number.
template <KvDType kDType, int kRows>
FORGE_DEVICE void AddValues(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state, int tile_start, int first, int end) {
  const KvLayerView& cache = launch.args.cache;
  const int begin = first > tile_start ? first - tile_start : 0;
  const int limit = end - tile_start < kTilePositions ? end - tile_start : kTilePositions;
  void* const data = cache.values_in_keys ? cache.keys : cache.values;
  const int data_dim = cache.values_in_keys ? cache.head_dim : cache.value_dim;
  const int first_dim = data_dim - cache.value_dim;
  for (int d = static_cast<int>(threadIdx.x); d < cache.value_dim; d += kAttentionThreads) {
    float sums[kRows] = {};
    for (int j = begin; j < limit; ++j) {
      float value = NAN;
      if (state.blocks[j] >= 0)
        value = LoadKvElement<kDType>(
            FindKvHead<kDType>(data, cache, data_dim, state.blocks[j], run.kv_head), data_dim,
            (tile_start + j) % cache.block_tokens, first_dim + d);
      FORGE_UNROLL
      for (int row = 0; row < kRows; ++row) {
        const float weight = state.weights[row * kTilePositions + j];
        sums[row] = weight == 0.0f ? sums[row] : fmaf(weight, value, sums[row]);
      }
    }
    FORGE_UNROLL
    for (int row = 0; row < kRows; ++row) {
      float* sum = state.sums + row * cache.value_dim + d;
      *sum = fmaf(*sum, state.corrections[row], sums[row]);
    }
  }
}

// What a row's sums are multiplied with and divided by, its head's sink included.
struct RowShare {
  float factor;
  float total;
};

FORGE_DEVICE RowShare FindRowShare(const AttentionLaunch& launch, const AttentionState& state,
                                   int row, int head) {
  if (launch.args.sinks == nullptr) return {1.0f, state.totals[row]};
  const float sink = launch.args.sinks[head];
  const float maximum = fmaxf(state.maxima[row], sink);
  const float factor = expf(state.maxima[row] - maximum);
  return {factor, fmaf(state.totals[row], factor, expf(sink - maximum))};
}

// Leaves the rows' results: y if there is one split, else what is merged later.
template <int kRows>
FORGE_DEVICE void FinishRows(const AttentionLaunch& launch, const RowRun& run,
                             const AttentionState& state, int split) {
  const int value_dim = launch.args.cache.value_dim;
  const int thread = static_cast<int>(threadIdx.x);
  for (int row = 0; row < kRows; ++row) {
    const int token = row / launch.tile_heads, head = row % launch.tile_heads;
    if (token >= run.n_tokens || head >= run.n_heads) continue;
    const int64_t index =
        static_cast<int64_t>(run.first_token + token) * launch.args.n_heads + run.first_head + head;
    if (launch.n_splits > 1) {
      const int64_t at = index * launch.n_splits + split;
      for (int d = thread; d < value_dim; d += kAttentionThreads)
        launch.sums[at * value_dim + d] = state.sums[row * value_dim + d];
      if (thread == 0) {
        launch.maxima[at] = state.maxima[row];
        launch.totals[at] = state.totals[row];
      }
      continue;
    }
    const RowShare share = FindRowShare(launch, state, row, run.first_head + head);
    for (int d = thread; d < value_dim; d += kAttentionThreads)
      launch.args.y[index * value_dim + d] =
          state.sums[row * value_dim + d] * share.factor / share.total;
  }
}

// What a split leaves that saw no position; the sums are not read then.
FORGE_DEVICE void MarkUnseen(const AttentionLaunch& launch, const RowRun& run, int split) {
  const int row = static_cast<int>(threadIdx.x);
  if (row >= run.n_tokens * run.n_heads) return;
  const int64_t index =
      static_cast<int64_t>(run.first_token + row / run.n_heads) * launch.args.n_heads +
      run.first_head + row % run.n_heads;
  launch.maxima[index * launch.n_splits + split] = -INFINITY;
  launch.totals[index * launch.n_splits + split] = 0.0f;
}

template <KvDType kDType, int kRows>
FORGE_DEVICE void AttendRun(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state, int split) {
  const RaggedBatch& batch = launch.args.batch;
  const int last = batch.positions[run.first_token + run.n_tokens - 1];
  const int first = FirstSeen(batch.positions[run.first_token], launch.args.window);
  const int stride = launch.n_splits * kPartitionPositions;
  const int thread = static_cast<int>(threadIdx.x);
  // The split's first partition that ends after `first`.
  int start = first / stride * stride + split * kPartitionPositions;
  if (start + kPartitionPositions <= first) start += stride;
  if (start > last && launch.n_splits > 1) {
    MarkUnseen(launch, run, split);
    return;
  }
  __syncthreads();  // the run before has left its results
  StartRows<kRows>(launch, run, state);
  __syncthreads();
  for (; start <= last; start += stride) {
    const int end = last + 1 < start + kPartitionPositions ? last + 1 : start + kPartitionPositions;
    int tile = first > start ? first / kTilePositions * kTilePositions : start;
    for (; tile < end; tile += kTilePositions) {
      if (thread < kTilePositions) {
        const int position = tile + thread;
        const bool is_read = run.sequence >= 0 && position >= first && position < end;
        state.blocks[thread] =
            is_read ? FindKvBlock(batch, launch.args.cache, run.sequence, position) : -1;
      }
      __syncthreads();
      ScoreTile<kDType, kRows>(launch, run, state, tile, first, end);
      __syncthreads();
      WeighTile<kRows>(launch, run, state, tile);
      __syncthreads();
      AddValues<kDType, kRows>(launch, run, state, tile, first, end);
      __syncthreads();  // the next tile takes the place of this one
    }
  }
  FinishRows<kRows>(launch, run, state, split);
}

// Calls `attend` for the tokens of each sequence that the block's tile touches. grid: (tiles of
// tokens, n_kv_heads * head_groups, ...).
template <typename Attend>
FORGE_DEVICE void ForEachRun(const AttentionLaunch& launch, const Attend& attend) {
  const RaggedBatch& batch = launch.args.batch;
  const int kv_head = static_cast<int>(blockIdx.y) / launch.head_groups;
  const int first_in_group = static_cast<int>(blockIdx.y) % launch.head_groups * launch.tile_heads;
  const int left = launch.group - first_in_group;
  RowRun run = {.first_token = static_cast<int>(blockIdx.x) * launch.tile_tokens,
                .n_tokens = 0,
                .sequence = 0,
                .kv_head = kv_head,
                .first_head = kv_head * launch.group + first_in_group,
                .n_heads = left < launch.tile_heads ? left : launch.tile_heads};
  const int limit = run.first_token + launch.tile_tokens < batch.n_tokens
                        ? run.first_token + launch.tile_tokens
                        : batch.n_tokens;
  for (; run.first_token < limit; run.first_token += run.n_tokens) {
    run.sequence = batch.token_sequence[run.first_token];
    run.n_tokens = 1;
    while (run.first_token + run.n_tokens < limit &&
           batch.token_sequence[run.first_token + run.n_tokens] == run.sequence)
      ++run.n_tokens;
    if (run.sequence < 0 || run.sequence >= batch.n_sequences) run.sequence = -1;
    attend(run);
  }
}

// grid: (tiles of tokens, n_kv_heads * head_groups, n_splits).
template <KvDType kDType, int kRows>
__global__ void __launch_bounds__(kAttentionThreads) AttentionKernel(AttentionLaunch launch) {
  FORGE_DYNAMIC_SHARED(float, dynamic);
  FORGE_SHARED(float, weights, kRows* kTilePositions);
  FORGE_SHARED(float, row_state, 3 * kRows);
  FORGE_SHARED(int, blocks, kTilePositions);
  const AttentionState state = {.queries = dynamic,
                                .sums = dynamic + kRows * launch.args.cache.head_dim,
                                .weights = weights,
                                .maxima = row_state,
                                .totals = row_state + kRows,
                                .corrections = row_state + 2 * kRows,
                                .blocks = blocks};
  ForEachRun(launch, [&](const RowRun& run) {
    AttendRun<kDType, kRows>(launch, run, state, static_cast<int>(blockIdx.z));
  });
}

}  // namespace forge
