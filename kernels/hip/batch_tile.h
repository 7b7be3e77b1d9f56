#pragma once

#include <string>

#include "kernels/hip/batch_matmul.h"
#include "kernels/hip/gpu_matrix.h"
#include "kernels/hip/launch.h"

namespace forge {

// What the kernels of batch_matmul.h share: a block of threads takes kBatchRows rows of a matrix
// and kBatchTileTokens tokens, a wave some tiles of 16 times 16 of them.

constexpr int kBatchThreads = 128;
constexpr int kBatchRows = 64;  // of the matrix

// The rows of a tile's tokens, in shared memory: [kBatchTileTokens] each.
struct BatchRowIndices {
  int* x;  // of the activations; -1: the tile has no such token
  int* y;
};

// What a block of threads works on.
struct BatchBlock {
  MatvecTarget target;
  const std::byte* matrix;    // of the expert, where there are some
  const ExpertTile* experts;  // or null
  int64_t tile;
  int n_tokens;  // of the tile
  int64_t first_row;
  int expert;  // 0 where there are none, negative for one that there is not
};

FORGE_DEVICE BatchBlock FindBatchBlock(const MatvecArgs& args) {
  BatchBlock block;
  // Blocks that read the same weights follow each other.
  block.tile = blockIdx.x % args.n_tiles;
  const int row_block = static_cast<int>(blockIdx.x / args.n_tiles);
  block.experts = args.tiles != nullptr ? args.tiles + block.tile : nullptr;
  const int64_t n_left = block.experts != nullptr ? block.experts->count
                                                  : args.n_tokens - block.tile * kBatchTileTokens;
  block.n_tokens = static_cast<int>(n_left < kBatchTileTokens ? n_left : kBatchTileTokens);
  block.target = args.targets[0];
  if (args.n_targets > 1 && row_block >= args.targets[1].first_block)
    block.target = args.targets[1];
  if (args.n_targets > 2 && row_block >= args.targets[2].first_block)
    block.target = args.targets[2];
  block.first_row = static_cast<int64_t>(row_block - block.target.first_block) * kBatchRows;
  block.expert = block.experts != nullptr ? block.experts->expert : 0;
  if (block.experts != nullptr && block.expert >= args.n_experts) block.expert = -1;
  block.matrix =
      block.target.weights + (block.expert < 0 ? 0 : block.expert * block.target.expert_stride);
  return block;
}

// The rows of the tile's tokens: in order, or those of the expert's pairs.
FORGE_DEVICE void FindBatchRows(const MatvecArgs& args, const BatchBlock& block,
                                const BatchRowIndices& rows) {
  const int token = static_cast<int>(threadIdx.x);
  if (token >= kBatchTileTokens) return;
  const bool is_of_experts = block.experts != nullptr;
  const int64_t first = is_of_experts ? block.experts->first : block.tile * kBatchTileTokens;
  const int64_t at = first + token;
  int x_row = -1, y_row = -1;
  if (token < block.n_tokens) {
    y_row = is_of_experts ? args.order[at] : static_cast<int>(at);
    x_row = is_of_experts ? y_row / args.pairs_per_row : y_row;
  }
  rows.x[token] = x_row;
  rows.y[token] = y_row;
}

// The tiles of 16 tokens times 16 rows that a wave computes. The waves take the tiles of tokens in
// turn, so that all of them have less to do for half a block of tokens.
template <int kWave>
struct BatchWave {
  static constexpr int kTokenTiles = 2;
  static constexpr int kRowTiles = kWave == 64 ? 4 : 2;
  static constexpr int kValues = ByteTile<kWave>::kValues;
  static constexpr int kTokenStep = kBatchTileTokens / kTokenTiles;  // from a tile to the next
  int first_token;
  int first_row;
  int lane;
  float sums[kTokenTiles][kRowTiles][kValues];
};

template <int kWave>
FORGE_DEVICE BatchWave<kWave> MakeBatchWave() {
  using Wave = BatchWave<kWave>;
  const int index = static_cast<int>(threadIdx.x) / kWave;
  constexpr int kWavesAlongTokens = Wave::kTokenStep / 16;
  return {.first_token = index % kWavesAlongTokens * 16,
          .first_row = index / kWavesAlongTokens * 16 * Wave::kRowTiles,
          .lane = static_cast<int>(threadIdx.x) % kWave,
          .sums = {}};
}

// `expert` as in BatchBlock.
template <int kWave>
FORGE_DEVICE void StoreSums(const MatvecTarget& target, const BatchRowIndices& rows,
                            const BatchWave<kWave>& wave, int64_t first_row, int expert) {
  using Tile = ByteTile<kWave>;
  FORGE_UNROLL
  for (int t = 0; t < BatchWave<kWave>::kTokenTiles; ++t) {
    FORGE_UNROLL
    for (int r = 0; r < BatchWave<kWave>::kRowTiles; ++r) {
      FORGE_UNROLL
      for (int i = 0; i < Tile::kValues; ++i) {
        const int64_t token =
            rows.y[wave.first_token + BatchWave<kWave>::kTokenStep * t + Tile::Row(wave.lane, i)];
        const int64_t row = first_row + wave.first_row + 16 * r + Tile::Column(wave.lane, i);
        if (token < 0 || row >= target.n_rows) continue;
        float sum = expert < 0 ? NAN : wave.sums[t][r][i];
        if (target.bias != nullptr && expert >= 0) sum += target.bias[expert * target.n_rows + row];
        const int64_t at = token * target.n_rows + row;
        if (target.residual != nullptr) sum += target.residual[at];
        target.y[at] = sum;
      }
    }
  }
}

// Launches a kernel of these. Its n_tiles and first_blocks are set here.
inline Status LaunchBatchKernel(void (*kernel)(MatvecArgs), MatvecArgs args, HipStream& stream) {
  int64_t n_row_blocks = 0;
  for (int i = 0; i < args.n_targets; ++i) {
    args.targets[i].first_block = n_row_blocks;
    n_row_blocks += (args.targets[i].n_rows + kBatchRows - 1) / kBatchRows;
  }
  if (args.tiles == nullptr)
    args.n_tiles = (args.n_tokens + kBatchTileTokens - 1) / kBatchTileTokens;
  const int64_t n_blocks = n_row_blocks * args.n_tiles;
  if (n_blocks > INT32_MAX)
    return InvalidArgument("matmul: rows times tokens are too many for one launch: blocks " +
                           std::to_string(n_blocks));
  return LaunchKernel("batch_matmul", kernel,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kBatchThreads}, stream,
                      args);
}

}  // namespace forge
