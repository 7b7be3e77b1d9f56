#pragma once

#include <algorithm>

#include "kernels/hip/gpu_matrix_half.h"
#include "kernels/hip/half_pieces.h"
#include "kernels/hip/prompt_attention.h"

namespace forge {

// A block does what AttentionKernel does, tile of 32 positions by tile: scores, weights, weighted
// values. Keys and values are staged 64 dimensions at a time; sums stay in registers.

constexpr int kPromptDims = 64;                   // staged at once
constexpr int kPieceStride = kTilePositions + 8;  // elements from a row's weights to the next row's
constexpr int kKeyStride = kPromptDims + 8;

// Sizes of shared memory, in elements. That of the queries' pieces is dynamic.
template <typename Element>
constexpr size_t PromptQueryElements(int head_dim) {
  return HalfPieces<Element>::kCount * size_t{kPromptRows} * (static_cast<size_t>(head_dim) + 8);
}
constexpr int kPromptStaged =
    std::max(kTilePositions * kKeyStride, kPromptDims* kPieceStride);  // keys, then values
template <typename Element>
constexpr int kPromptPieces = HalfPieces<Element>::kCount* kPromptRows* kPieceStride;
constexpr int kPromptRowStates = 4 * kPromptRows;
constexpr int kPromptIndices = 2 * kTilePositions + 1;

template <typename Element>
constexpr size_t PromptSharedBytes(int head_dim) {
  return sizeof(Element) *
         (PromptQueryElements<Element>(head_dim) + kPromptStaged +
          kPromptPieces<Element>)+sizeof(float) *
         (kPromptRows * kTilePositions + kPromptRowStates + kPromptIndices);
}

// What the threads of a block share beside AttentionState.
template <typename Element>
struct PromptStage {
  Element* queries;  // [pieces, kPromptRows, head_dim + 8]
  Element* staged;   // keys [kTilePositions, kKeyStride], or values [kPromptDims, kPieceStride]
  Element* pieces;   // of the weights: [pieces, kPromptRows, kPieceStride]
  float* scales;     // [kPromptRows], of the queries
  int* bad;          // [kTilePositions + 1]: a value of the position is no finite number; of any
  int query_stride;

  FORGE_DEVICE const Element* QueryAt(int piece, int row) const {
    return queries + (piece * kPromptRows + row) * query_stride;
  }
  FORGE_DEVICE Element* PieceAt(int piece, int row) const {
    return pieces + (piece * kPromptRows + row) * kPieceStride;
  }
};

// Which tiles of 16 times 16 a wave has: of scores, and of the sums of 64 dimensions.
template <int kWave>
struct PromptWave {
  static constexpr int kValues = ByteTile<kWave>::kValues;
  static constexpr int kWaves = kAttentionThreads / kWave;
  static constexpr int kScoreTiles = 4 / kWaves;   // along the positions
  static constexpr int kColumnTiles = 4 / kWaves;  // of the 64 dimensions; for all 32 rows
  int index;
  int lane;

  FORGE_DEVICE int ScoreRow() const { return 16 * (index * kScoreTiles / 2); }
  FORGE_DEVICE int ScoreColumn(int tile) const { return 16 * ((index * kScoreTiles + tile) % 2); }
  FORGE_DEVICE int SumColumn(int tile) const { return 16 * (index * kColumnTiles + tile); }
};

template <typename Element>
FORGE_DEVICE void StartPromptRows(const AttentionLaunch& launch, const RowRun& run,
                                  const AttentionState& state, const PromptStage<Element>& stage) {
  constexpr int kLanes = kAttentionThreads / kPromptRows;
  const int head_dim = launch.args.cache.head_dim;
  const int row = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int token = row / launch.tile_heads, head = row % launch.tile_heads;
  const bool is_there = token < run.n_tokens && head < run.n_heads;
  const int64_t index =
      static_cast<int64_t>(run.first_token + token) * launch.args.n_heads + run.first_head + head;
  const float* q = launch.args.q + (is_there ? index * head_dim : 0);
  uint32_t greatest = 0;
  for (int d = lane; is_there && d < head_dim; d += kLanes) {
    const uint32_t bits = MagnitudeBits(q[d]);
    greatest = bits > greatest ? bits : greatest;
  }
  FORGE_UNROLL
  for (int mask = 1; mask < kLanes; mask *= 2) {
    const uint32_t other = ShuffleXor<kLanes>(greatest, mask);
    greatest = other > greatest ? other : greatest;
  }
  const PieceScale scale = FindPieceScale(greatest);
  for (int d = lane; d < head_dim; d += kLanes)
    StorePieces(scale.inverse != 0.0f ? q[d] * scale.inverse : 0.0f,
                stage.queries + row * stage.query_stride + d, kPromptRows * stage.query_stride);
  if (lane != 0) return;
  stage.scales[row] = scale.scale;
  state.maxima[row] = -INFINITY;
  state.totals[row] = 0.0f;
}

// Four elements at a time: zeros for positions outside of [first, end) and for dimensions that
// there are not, NaN where the cache has no such position.
template <KvDType kDType>
FORGE_DEVICE Words2 LoadFour(void* data, const KvLayerView& cache, int dim, int block, int kv_head,
                             int position, int d, bool is_read) {
  if (!is_read || d >= dim) return {{0, 0}};
  if (block < 0) return {{0x7fff7fffu, 0x7fff7fffu}};  // NaN of both types
  const auto* elements = reinterpret_cast<const uint16_t*>(
      FindKvHead<kDType>(data, cache, dim, block, kv_head).elements);
  const int64_t row = static_cast<int64_t>(position % cache.block_tokens) * dim;
  return *reinterpret_cast<const Words2*>(elements + row + d);
}

template <KvDType kDType, typename Element>
FORGE_DEVICE void StageKeys(const AttentionLaunch& launch, const RowRun& run,
                            const AttentionState& state, const PromptStage<Element>& stage,
                            int tile_start, int first, int end, int first_dim) {
  const KvLayerView& cache = launch.args.cache;
  FORGE_NO_UNROLL  // addresses of all at once would need the registers of the sums
      for (int i = static_cast<int>(threadIdx.x); i < kTilePositions * kPromptDims / 4;
           i += kAttentionThreads) {
    const int j = i / (kPromptDims / 4), d = i % (kPromptDims / 4) * 4;
    const int position = tile_start + j;
    *reinterpret_cast<Words2*>(stage.staged + j * kKeyStride + d) =
        LoadFour<kDType>(cache.keys, cache, cache.head_dim, state.blocks[j], run.kv_head, position,
                         first_dim + d, position >= first && position < end);
  }
}

// Turned round: a row for each dimension. What is no finite number becomes 0, since a row that does
// not see it would multiply it by 0, and is remembered for the rows that do.
template <KvDType kDType, typename Element>
FORGE_DEVICE void StageValues(const AttentionLaunch& launch, const RowRun& run,
                              const AttentionState& state, const PromptStage<Element>& stage,
                              int tile_start, int first, int end, int first_dim) {
  constexpr uint32_t kExponent = kDType == KvDType::kF16 ? 0x7c00u : 0x7f80u;
  const KvLayerView& cache = launch.args.cache;
  FORGE_NO_UNROLL  // addresses of all at once would need the registers of the sums
      for (int i = static_cast<int>(threadIdx.x); i < kTilePositions * kPromptDims / 4;
           i += kAttentionThreads) {
    const int j = i % kTilePositions, d = i / kTilePositions * 4;
    const int position = tile_start + j;
    const Words2 words =
        LoadFour<kDType>(cache.values, cache, cache.value_dim, state.blocks[j], run.kv_head,
                         position, first_dim + d, position >= first && position < end);
    FORGE_UNROLL
    for (int k = 0; k < 4; ++k) {
      uint32_t bits = words.w[k / 2] >> (16 * (k % 2)) & 0xffffu;
      if ((bits & kExponent) == kExponent) {
        bits = 0;
        atomicExch(stage.bad + j, 1);
        atomicExch(stage.bad + kTilePositions, 1);
      }
      stage.staged[(d + k) * kPieceStride + j] = Element{static_cast<uint16_t>(bits)};
    }
  }
}

// A row that saw a value that is no finite number has none either.
template <typename Element>
FORGE_DEVICE void MarkBadRows(const AttentionState& state, const PromptStage<Element>& stage) {
  const int row = static_cast<int>(threadIdx.x);
  if (stage.bad[kTilePositions] == 0 || row >= kPromptRows) return;
  FORGE_NO_UNROLL
  for (int j = 0; j < kTilePositions; ++j)
    if (stage.bad[j] != 0 && state.weights[row * kTilePositions + j] != 0.0f)
      state.totals[row] = NAN;
}

// One score after the other: hyperbolic tangents side by side need many registers.
template <typename Element>
FORGE_DEVICE void ScalePromptScores(const AttentionLaunch& launch, const AttentionState& state,
                                    const PromptStage<Element>& stage) {
  FORGE_NO_UNROLL
  for (int i = static_cast<int>(threadIdx.x); i < kPromptRows * kTilePositions;
       i += kAttentionThreads) {
    float score = state.weights[i] * stage.scales[i / kTilePositions] * launch.args.scale;
    if (launch.args.soft_cap != 0.0f)
      score = launch.args.soft_cap * tanhf(score / launch.args.soft_cap);
    state.weights[i] = score;
  }
}

template <KvDType kDType, typename Element, int kWave>
FORGE_DEVICE void ScorePromptTile(const AttentionLaunch& launch, const RowRun& run,
                                  const AttentionState& state, const PromptStage<Element>& stage,
                                  const PromptWave<kWave>& wave, int tile_start, int first,
                                  int end) {
  using Wave = PromptWave<kWave>;
  using Tile = HalfTile<Element, kWave>;
  using Pieces = HalfPieces<Element>;
  const int head_dim = launch.args.cache.head_dim;
  float products[Wave::kScoreTiles][Pieces::kCount][Wave::kValues] = {};
  for (int dim = 0; dim < head_dim; dim += kPromptDims) {
    StageKeys<kDType>(launch, run, state, stage, tile_start, first, end, dim);
    __syncthreads();
    const int n_dims = head_dim - dim < kPromptDims ? head_dim - dim : kPromptDims;
    FORGE_NO_UNROLL  // loads of all at once would need the registers of the sums
        for (int k = 0; k < n_dims; k += 16) {
      FORGE_UNROLL
      for (int t = 0; t < Wave::kScoreTiles; ++t) {
        const auto keys =
            Tile::Load(stage.staged + wave.ScoreColumn(t) * kKeyStride + k, kKeyStride, wave.lane);
        FORGE_UNROLL
        for (int piece = 0; piece < Pieces::kCount; ++piece)
          Tile::MultiplyAdd(Tile::Load(stage.QueryAt(piece, wave.ScoreRow()) + dim + k,
                                       stage.query_stride, wave.lane),
                            keys, products[t][piece]);
      }
    }
    __syncthreads();  // the next dimensions take the place of these
  }
  FORGE_UNROLL
  for (int t = 0; t < Wave::kScoreTiles; ++t) {
    FORGE_UNROLL
    for (int i = 0; i < Wave::kValues; ++i) {
      const int row = wave.ScoreRow() + ByteTile<kWave>::Row(wave.lane, i);
      const int column = wave.ScoreColumn(t) + ByteTile<kWave>::Column(wave.lane, i);
      float product = products[t][Pieces::kCount - 1][i];
      FORGE_UNROLL
      for (int piece = Pieces::kCount - 2; piece >= 0; --piece)
        product = fmaf(product, Pieces::kStep, products[t][piece][i]);
      state.weights[row * kTilePositions + column] = product;
    }
  }
  __syncthreads();
  ScalePromptScores(launch, state, stage);
}

template <typename Element>
FORGE_DEVICE void SplitWeights(const AttentionState& state, const PromptStage<Element>& stage) {
  FORGE_NO_UNROLL
  for (int i = static_cast<int>(threadIdx.x); i < kPromptRows * kTilePositions;
       i += kAttentionThreads)
    StorePieces(state.weights[i], stage.PieceAt(0, i / kTilePositions) + i % kTilePositions,
                kPromptRows * kPieceStride);
}

// Adds the weighted values of 64 staged dimensions to a tile of the sums.
template <typename Element, int kWave>
FORGE_DEVICE void AddPromptValues(const AttentionState& state, const PromptStage<Element>& stage,
                                  int row, int column, int lane,
                                  float (&sums)[PromptWave<kWave>::kValues]) {
  using Tile = HalfTile<Element, kWave>;
  using Pieces = HalfPieces<Element>;
  constexpr int kValues = PromptWave<kWave>::kValues;
  float products[kValues] = {};
  FORGE_UNROLL
  for (int piece = Pieces::kCount - 1; piece >= 0; --piece) {  // the least first
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) products[i] *= Pieces::kStep;
    FORGE_UNROLL
    for (int k = 0; k < kTilePositions; k += 16)
      Tile::MultiplyAdd(Tile::Load(stage.PieceAt(piece, row) + k, kPieceStride, lane),
                        Tile::Load(stage.staged + column * kPieceStride + k, kPieceStride, lane),
                        products);
  }
  FORGE_UNROLL
  for (int i = 0; i < kValues; ++i)
    sums[i] = fmaf(sums[i], state.corrections[row + ByteTile<kWave>::Row(lane, i)], products[i]);
}

// The sums of a wave: kChunks times 64 dimensions.
template <int kWave, int kChunks>
struct PromptSums {
  float values[kChunks][2][PromptWave<kWave>::kColumnTiles][PromptWave<kWave>::kValues];
};

template <KvDType kDType, typename Element, int kWave, int kChunks>
FORGE_DEVICE void AddTile(const AttentionLaunch& launch, const RowRun& run,
                          const AttentionState& state, const PromptStage<Element>& stage,
                          const PromptWave<kWave>& wave, int tile_start, int first, int end,
                          PromptSums<kWave, kChunks>& sums) {
  FORGE_UNROLL
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    StageValues<kDType>(launch, run, state, stage, tile_start, first, end, chunk * kPromptDims);
    __syncthreads();
    FORGE_UNROLL
    for (int r = 0; r < 2; ++r) {
      FORGE_UNROLL
      for (int c = 0; c < PromptWave<kWave>::kColumnTiles; ++c)
        AddPromptValues<Element, kWave>(state, stage, 16 * r, wave.SumColumn(c), wave.lane,
                                        sums.values[chunk][r][c]);
    }
    __syncthreads();  // the next dimensions take the place of these
  }
}

// y of 16 rows and 64 dimensions, whose sums are in state.weights, with the sink if there is one.
FORGE_DEVICE void StorePromptRows(const AttentionLaunch& launch, const RowRun& run,
                                  const AttentionState& state, int first_row, int first_dim) {
  const int value_dim = launch.args.cache.value_dim;
  FORGE_NO_UNROLL
  for (int i = static_cast<int>(threadIdx.x); i < 16 * kPromptDims; i += kAttentionThreads) {
    const int row = first_row + i / kPromptDims, d = first_dim + i % kPromptDims;
    const int token = row / launch.tile_heads, head = row % launch.tile_heads;
    if (token >= run.n_tokens || head >= run.n_heads || d >= value_dim) continue;
    const RowShare share = FindRowShare(launch, state, row, run.first_head + head);
    const int64_t index =
        static_cast<int64_t>(run.first_token + token) * launch.args.n_heads + run.first_head + head;
    launch.args.y[index * value_dim + d] = state.weights[i] * share.factor / share.total;
  }
}

// The sums go through shared memory, so that no thread computes its rows' places all at once.
template <int kWave, int kChunks>
FORGE_DEVICE void FinishPromptRows(const AttentionLaunch& launch, const RowRun& run,
                                   const AttentionState& state, const PromptWave<kWave>& wave,
                                   const PromptSums<kWave, kChunks>& sums) {
  static_assert(16 * kPromptDims <= kPromptRows * kTilePositions);
  FORGE_UNROLL
  for (int chunk = 0; chunk < kChunks; ++chunk) {
    FORGE_UNROLL
    for (int r = 0; r < 2; ++r) {
      __syncthreads();  // the last use of the weights is over, and the rows are marked
      FORGE_UNROLL
      for (int c = 0; c < PromptWave<kWave>::kColumnTiles; ++c) {
        FORGE_UNROLL
        for (int i = 0; i < PromptWave<kWave>::kValues; ++i)
          state.weights[ByteTile<kWave>::Row(wave.lane, i) * kPromptDims + wave.SumColumn(c) +
                        ByteTile<kWave>::Column(wave.lane, i)] = sums.values[chunk][r][c][i];
      }
      __syncthreads();
      StorePromptRows(launch, run, state, 16 * r, chunk * kPromptDims);
    }
  }
}

template <KvDType kDType, typename Element, int kWave, int kChunks>
FORGE_DEVICE void AttendPromptRun(const AttentionLaunch& launch, const RowRun& run,
                                  const AttentionState& state, const PromptStage<Element>& stage,
                                  const PromptWave<kWave>& wave) {
  const RaggedBatch& batch = launch.args.batch;
  const int end = batch.positions[run.first_token + run.n_tokens - 1] + 1;
  const int first = FirstSeen(batch.positions[run.first_token], launch.args.window);
  const int thread = static_cast<int>(threadIdx.x);
  PromptSums<kWave, kChunks> sums = {};
  __syncthreads();  // the run before has left its results
  StartPromptRows(launch, run, state, stage);
  for (int tile = first / kTilePositions * kTilePositions; tile < end; tile += kTilePositions) {
    if (thread < kTilePositions) {
      const int position = tile + thread;
      const bool is_read = run.sequence >= 0 && position >= first && position < end;
      state.blocks[thread] =
          is_read ? FindKvBlock(batch, launch.args.cache, run.sequence, position) : -1;
    }
    __syncthreads();
    if (thread <= kTilePositions) stage.bad[thread] = 0;
    ScorePromptTile<kDType>(launch, run, state, stage, wave, tile, first, end);
    __syncthreads();
    WeighTile<kPromptRows>(launch, run, state, tile);
    __syncthreads();
    SplitWeights(state, stage);
    AddTile<kDType>(launch, run, state, stage, wave, tile, first, end, sums);
    MarkBadRows(state, stage);
  }
  FinishPromptRows(launch, run, state, wave, sums);
}

template <KvDType kDType, int kChunks, int kWave>
FORGE_DEVICE void AttendPrompt(const AttentionLaunch& launch) {
  using Element = std::conditional_t<kDType == KvDType::kF16, F16, Bf16>;
  FORGE_DYNAMIC_SHARED(Element, queries);
  FORGE_SHARED(Element, staged, kPromptStaged);
  FORGE_SHARED(Element, pieces, kPromptPieces<Element>);
  FORGE_SHARED(float, weights, kPromptRows* kTilePositions);
  FORGE_SHARED(float, row_state, kPromptRowStates);
  FORGE_SHARED(int, blocks, kPromptIndices);
  const AttentionState state = {.queries = nullptr,
                                .sums = nullptr,
                                .weights = weights,
                                .maxima = row_state,
                                .totals = row_state + kPromptRows,
                                .corrections = row_state + 2 * kPromptRows,
                                .blocks = blocks};
  const PromptStage<Element> stage = {.queries = queries,
                                      .staged = staged,
                                      .pieces = pieces,
                                      .scales = row_state + 3 * kPromptRows,
                                      .bad = blocks + kTilePositions,
                                      .query_stride = launch.args.cache.head_dim + 8};
  const PromptWave<kWave> wave = {.index = static_cast<int>(threadIdx.x) / kWave,
                                  .lane = static_cast<int>(threadIdx.x) % kWave};
  ForEachRun(launch, [&](const RowRun& run) {
    AttendPromptRun<kDType, Element, kWave, kChunks>(launch, run, state, stage, wave);
  });
}

// grid: (tiles of tokens, n_kv_heads * head_groups).
template <KvDType kDType, int kChunks, int kWave>
__global__ void __launch_bounds__(kAttentionThreads) PromptAttentionKernel(AttentionLaunch launch) {
  if constexpr (kMultipliesHalves<kWave>) AttendPrompt<kDType, kChunks, kWave>(launch);
  if constexpr (!kMultipliesHalves<kWave>) NeverLaunched();
}

}  // namespace forge
