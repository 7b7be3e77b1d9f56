#pragma once

#include "kernels/hip/batch_tile.h"
#include "kernels/hip/gpu_matrix_half.h"
#include "kernels/hip/half_pieces.h"
#include "kernels/hip/launch.h"

namespace forge {

// Products of F16 and Bf16 matrices with many vectors on the matrix units. Weights go there as they
// are. An activation is float32 and stays so to its last bits: it is the sum of pieces of the
// weights' type, each kStep of the one before, and is multiplied once for each. Each 32 columns of
// a token have a power of two as their scale, so that no piece of F16 leaves its range.

constexpr int kFloatBatchParts = 2;  // staged at once, of 32 columns each
constexpr int kHalfStride = 40;      // elements from a row's part to the next row's

// What a block has of one step along the columns, in shared memory.
template <typename Element>
struct FloatBatchStage {
  Element* weights;     // [kFloatBatchParts, kBatchRows, kHalfStride]
  Element* pieces;      // [HalfPieces::kCount, kFloatBatchParts, kBatchTileTokens, kHalfStride]
  float* token_scales;  // [kFloatBatchParts, kBatchTileTokens]
  BatchRowIndices rows;

  FORGE_DEVICE Element* WeightsAt(int part, int row) const {
    return weights + (part * kBatchRows + row) * kHalfStride;
  }
  FORGE_DEVICE Element* PiecesAt(int piece, int part, int token) const {
    return pieces + ((piece * kFloatBatchParts + part) * kBatchTileTokens + token) * kHalfStride;
  }
};

// Columns and rows beyond the matrix are zeros.
template <typename Element>
FORGE_DEVICE void StageHalves(const FloatBatchStage<Element>& stage, const std::byte* matrix,
                              int64_t row_bytes, int64_t first_row, int64_t n_rows,
                              int64_t first_col, int64_t n_cols) {
  constexpr int kWords = 4;  // of four elements, 8 bytes
  for (int i = static_cast<int>(threadIdx.x); i < kBatchRows * kFloatBatchParts * kWords * 2;
       i += kBatchThreads) {
    const int word = i % (kWords * 2), p = i / (kWords * 2) % kFloatBatchParts;
    const int row = i / (kWords * 2) / kFloatBatchParts;
    const int64_t col = first_col + 32 * p + 4 * word;
    const int64_t at_row = first_row + row < n_rows ? first_row + row : n_rows - 1;
    const bool is_there = first_row + row < n_rows && col < n_cols;
    // Rows are filled up with zeros to 16 bytes, so that the last four are all there.
    const auto* from =
        reinterpret_cast<const Words2*>(matrix + at_row * row_bytes) + (is_there ? col / 4 : 0);
    const uint32_t mask = is_there ? 0xffffffffu : 0;
    const Words2 words = *from;
    *reinterpret_cast<Words2*>(stage.WeightsAt(p, row) +
                               4 * word) = {{words.w[0] & mask, words.w[1] & mask}};
  }
}

// Each thread takes the 32 columns of a token's part.
template <typename Element>
FORGE_DEVICE void StagePieces(const FloatBatchStage<Element>& stage, const float* x,
                              int64_t first_col, int64_t n_cols) {
  static_assert(kBatchThreads == kBatchTileTokens * kFloatBatchParts);
  const int token = static_cast<int>(threadIdx.x) / kFloatBatchParts;
  const int p = static_cast<int>(threadIdx.x) % kFloatBatchParts;
  const int64_t row = stage.rows.x[token];
  const int64_t first = first_col + 32 * p;
  const int n = row < 0 || first >= n_cols ? 0
                : n_cols - first < 32      ? static_cast<int>(n_cols - first)
                                           : 32;
  const float* from = n == 0 ? x : x + row * n_cols + first;
  uint32_t greatest = 0;
  for (int i = 0; i < n; ++i) {
    const uint32_t bits = MagnitudeBits(from[i]);
    greatest = bits > greatest ? bits : greatest;
  }
  const PieceScale scale = FindPieceScale(greatest);
  for (int i = 0; i < 32; ++i)
    StorePieces(i < n && scale.inverse != 0.0f ? from[i] * scale.inverse : 0.0f,
                stage.PiecesAt(0, p, token) + i, kFloatBatchParts * kBatchTileTokens * kHalfStride);
  stage.token_scales[p * kBatchTileTokens + token] = scale.scale;
}

// The staged parts of a tile of 16 tokens times 16 rows, added to its sums.
template <typename Element, int kWave>
FORGE_DEVICE void MultiplyHalfTile(const FloatBatchStage<Element>& stage, int p, int token, int row,
                                   int lane, float (&sums)[ByteTile<kWave>::kValues]) {
  using Of = HalfPieces<Element>;
  using Tile = HalfTile<Element, kWave>;
  float products[Tile::kValues] = {};
  FORGE_UNROLL
  for (int piece = Of::kCount - 1; piece >= 0; --piece) {  // the least first
    FORGE_UNROLL
    for (int i = 0; i < Tile::kValues; ++i) products[i] *= Of::kStep;
    FORGE_UNROLL
    for (int k = 0; k < 32; k += 16)
      Tile::MultiplyAdd(Tile::Load(stage.PiecesAt(piece, p, token) + k, kHalfStride, lane),
                        Tile::Load(stage.WeightsAt(p, row) + k, kHalfStride, lane), products);
  }
  FORGE_UNROLL
  for (int i = 0; i < Tile::kValues; ++i) {
    const int at = p * kBatchTileTokens + token + ByteTile<kWave>::Row(lane, i);
    sums[i] = fmaf(stage.token_scales[at], products[i], sums[i]);
  }
}

template <typename Format, int kWave>
__global__ void __launch_bounds__(kBatchThreads) FloatBatchMatmulKernel(MatvecArgs args) {
  if constexpr (kMultipliesHalves<kWave>) {
    using Element = typename RowLayout<Format>::Element;
    constexpr int kPartElements = kFloatBatchParts * kHalfStride;
    FORGE_SHARED(Element, weights, kBatchRows * kPartElements);
    FORGE_SHARED(Element, pieces, HalfPieces<Element>::kCount * kBatchTileTokens * kPartElements);
    FORGE_SHARED(float, token_scales, kFloatBatchParts* kBatchTileTokens);
    FORGE_SHARED(int, x_rows, kBatchTileTokens);
    FORGE_SHARED(int, y_rows, kBatchTileTokens);
    const FloatBatchStage<Element> stage = {weights, pieces, token_scales, {x_rows, y_rows}};
    const BatchBlock block = FindBatchBlock(args);
    if (block.n_tokens == 0) return;
    FindBatchRows(args, block, stage.rows);
    __syncthreads();
    BatchWave<kWave> wave = MakeBatchWave<kWave>();
    for (int64_t col = 0; col < args.n_cols; col += 32 * kFloatBatchParts) {
      StageHalves(stage, block.matrix, PackedRowBytes<Format>(args.n_cols), block.first_row,
                  block.target.n_rows, col, args.n_cols);
      StagePieces(stage, args.x, col, args.n_cols);
      __syncthreads();
      FORGE_NO_UNROLL  // as in MultiplyStage
          for (int p = 0; p < kFloatBatchParts; ++p) {
        FORGE_UNROLL
        for (int t = 0; t < BatchWave<kWave>::kTokenTiles; ++t) {
          if (t * BatchWave<kWave>::kTokenStep >= block.n_tokens) continue;
          FORGE_UNROLL
          for (int r = 0; r < BatchWave<kWave>::kRowTiles; ++r)
            MultiplyHalfTile<Element, kWave>(stage, p,
                                             wave.first_token + BatchWave<kWave>::kTokenStep * t,
                                             wave.first_row + 16 * r, wave.lane, wave.sums[t][r]);
        }
      }
      __syncthreads();  // the next columns take the place of these
    }
    StoreSums<kWave>(block.target, stage.rows, wave, block.first_row, block.expert);
  }
  if constexpr (!kMultipliesHalves<kWave>) NeverLaunched();
}

template <typename Format>
Status LaunchBatchMatmul(MatvecArgs args, HipStream& stream) {
  auto* kernel = FloatBatchMatmulKernel<Format, 32>;
#if !defined(FORGE_GPU_CUDA)
  if (stream.wave_size() == 64) kernel = FloatBatchMatmulKernel<Format, 64>;
#endif
  return LaunchBatchKernel(kernel, args, stream);
}

}  // namespace forge
