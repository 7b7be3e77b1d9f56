#pragma once

#include "kernels/hip/batch_tile.h"
#include "kernels/hip/weight_reader.h"

namespace forge {

// Products of quantised matrices with many vectors, see batch_matmul.h.

constexpr int kBatchParts = 4;   // staged at once, of 32 columns each
constexpr int kPartStride = 48;  // bytes from a row's part to the next row's: no two share a bank

// What a block has of one step along the columns, in shared memory.
struct BatchStage {
  int8_t* weights;      // [kBatchParts, kBatchRows, kPartStride], codes
  int8_t* tokens;       // [kBatchParts, kBatchTileTokens, kPartStride], codes
  int8_t* digits;       // as tokens, for formats with two
  float* scales;        // [kBatchParts, 2, kBatchRows]
  float* offsets;       // [kBatchParts, 2, kBatchRows]
  float* token_scales;  // [kBatchParts, kBatchTileTokens]
  int* token_sums;      // [kBatchParts, kBatchTileTokens], as in QuantizedActivations
  BatchRowIndices rows;
};

FORGE_DEVICE void StoreCodes(const int (&codes)[8], int8_t* to) {
  auto* halves = reinterpret_cast<Words4*>(to);
  FORGE_UNROLL
  for (int q = 0; q < 8; ++q) halves[q / 4].w[q % 4] = static_cast<uint32_t>(codes[q]);
}

// Parts beyond the last and rows beyond the matrix count nothing: their scales are 0.
template <typename Format>
FORGE_DEVICE void StageWeights(const BatchStage& stage, const std::byte* matrix, int64_t row_bytes,
                               int64_t first_row, int64_t n_rows, int64_t first_part,
                               int64_t n_parts) {
  using Layout = RowLayout<Format>;
  for (int i = static_cast<int>(threadIdx.x); i < kBatchRows * kBatchParts; i += kBatchThreads) {
    const int row = i / kBatchParts, p = i % kBatchParts;
    const bool is_there = first_row + row < n_rows && first_part + p < n_parts;
    const int64_t at_row = first_row + row < n_rows ? first_row + row : n_rows - 1;
    const int64_t at_part = first_part + p < n_parts ? first_part + p : n_parts - 1;
    WeightPart part;
    LoadWeightPart<Format>(matrix + at_row * row_bytes, n_parts, at_part, part);
    StoreCodes(part.codes, stage.weights + (p * kBatchRows + row) * kPartStride);
    FORGE_UNROLL
    for (int h = 0; h < Layout::kScales; ++h) {
      stage.scales[(p * 2 + h) * kBatchRows + row] = is_there ? part.scales[h] : 0.0f;
      if constexpr (Layout::kHasOffsets)
        stage.offsets[(p * 2 + h) * kBatchRows + row] = is_there ? part.offsets[h] : 0.0f;
    }
  }
}

// 32 bytes, or zeros.
FORGE_DEVICE void CopyCodes(const int8_t* from, bool is_there, int8_t* to) {
  const auto* source = reinterpret_cast<const Words4*>(from);
  auto* target = reinterpret_cast<Words4*>(to);
  const uint32_t mask = is_there ? 0xffffffffu : 0;  // a choice between structs would be in memory
  FORGE_UNROLL
  for (int half = 0; half < 2; ++half) {
    const Words4 words = source[half];
    FORGE_UNROLL
    for (int i = 0; i < 4; ++i) target[half].w[i] = words.w[i] & mask;
  }
}

template <typename Format>
FORGE_DEVICE void StageTokens(const BatchStage& stage, const QuantizedActivations& x,
                              int64_t first_part, int64_t n_parts) {
  for (int i = static_cast<int>(threadIdx.x); i < kBatchTileTokens * kBatchParts;
       i += kBatchThreads) {
    const int token = i / kBatchParts, p = i % kBatchParts;
    const int64_t row = stage.rows.x[token];
    const bool is_there = row >= 0 && first_part + p < n_parts;
    const int64_t at = is_there ? row * n_parts + first_part + p : 0;
    const int to = (p * kBatchTileTokens + token) * kPartStride;
    CopyCodes(x.codes + 32 * at, is_there, stage.tokens + to);
    if constexpr (RowLayout<Format>::kDigits == 2)
      CopyCodes(x.digits + 32 * at, is_there, stage.digits + to);
    stage.token_scales[p * kBatchTileTokens + token] = is_there ? x.scales[at] : 0.0f;
    stage.token_sums[p * kBatchTileTokens + token] = is_there ? x.sums[at] : 0;
  }
}

// One product of staged bytes, and the scales of what it covers, added to the sums of a tile.
// `half` is which 16 columns where a format has a scale for each, or -1 for all 32.
template <typename Format, int kWave>
FORGE_DEVICE void MultiplyTile(const BatchStage& stage, int p, int half, int token, int row,
                               int lane, float (&sums)[ByteTile<kWave>::kValues]) {
  using Layout = RowLayout<Format>;
  using Tile = ByteTile<kWave>;
  const int8_t* a = stage.tokens + (p * kBatchTileTokens + token) * kPartStride;
  const int8_t* b = stage.weights + (p * kBatchRows + row) * kPartStride;
  const int h = half < 0 ? 0 : half;
  int dots[Tile::kValues];
  int covered[Tile::kValues];  // the sum of the token's codes there
  FORGE_UNROLL
  for (int i = 0; i < Tile::kValues; ++i) {
    const int packed = stage.token_sums[p * kBatchTileTokens + token + Tile::Row(lane, i)];
    const int low = static_cast<int16_t>(packed & 0xffff), high = packed >> 16;
    covered[i] = half < 0 ? low + high : half == 0 ? low : high;
    dots[i] = -Layout::kZero * covered[i];
  }
  if (half < 0) {
    Tile::MultiplyAdd32(Tile::Load(a, kPartStride, lane), Tile::Load(a + 16, kPartStride, lane),
                        Tile::Load(b, kPartStride, lane), Tile::Load(b + 16, kPartStride, lane),
                        dots);
  } else {
    Tile::MultiplyAdd(Tile::Load(a + 16 * half, kPartStride, lane),
                      Tile::Load(b + 16 * half, kPartStride, lane), dots);
  }
  int digit_dots[Tile::kValues] = {};
  if constexpr (Layout::kDigits == 2) {
    const int8_t* d = stage.digits + (p * kBatchTileTokens + token) * kPartStride;
    Tile::MultiplyAdd32(Tile::Load(d, kPartStride, lane), Tile::Load(d + 16, kPartStride, lane),
                        Tile::Load(b, kPartStride, lane), Tile::Load(b + 16, kPartStride, lane),
                        digit_dots);
  }
  FORGE_UNROLL
  for (int i = 0; i < Tile::kValues; ++i) {
    const int at = (p * 2 + h) * kBatchRows + row + Tile::Column(lane, i);
    float value = stage.scales[at] * static_cast<float>(dots[i]);
    if constexpr (Layout::kHasOffsets)
      value = fmaf(stage.offsets[at], static_cast<float>(covered[i]), value);
    if constexpr (Layout::kDigits == 2)
      value = fmaf(stage.scales[at] * kDigitStep, static_cast<float>(digit_dots[i]), value);
    sums[i] =
        fmaf(stage.token_scales[p * kBatchTileTokens + token + Tile::Row(lane, i)], value, sums[i]);
  }
}

template <typename Format, int kWave>
FORGE_DEVICE void MultiplyStage(const BatchStage& stage, int n_tokens, BatchWave<kWave>& wave) {
  FORGE_NO_UNROLL  // four times the code needs twice the registers
      for (int p = 0; p < kBatchParts; ++p) {
    FORGE_UNROLL
    for (int t = 0; t < BatchWave<kWave>::kTokenTiles; ++t) {
      if (t * BatchWave<kWave>::kTokenStep >= n_tokens) continue;  // the same for all of the block
      FORGE_UNROLL
      for (int r = 0; r < BatchWave<kWave>::kRowTiles; ++r) {
        const int token = wave.first_token + BatchWave<kWave>::kTokenStep * t;
        const int row = wave.first_row + 16 * r;
        if constexpr (RowLayout<Format>::kScales == 1) {
          MultiplyTile<Format, kWave>(stage, p, -1, token, row, wave.lane, wave.sums[t][r]);
        } else {
          MultiplyTile<Format, kWave>(stage, p, 0, token, row, wave.lane, wave.sums[t][r]);
          MultiplyTile<Format, kWave>(stage, p, 1, token, row, wave.lane, wave.sums[t][r]);
        }
      }
    }
  }
}

template <typename Format, int kWave>
__global__ void __launch_bounds__(kBatchThreads) BatchMatmulKernel(MatvecArgs args) {
  constexpr int kPartBytes = kBatchParts * kPartStride;
  constexpr int kDigitBytes = RowLayout<Format>::kDigits == 2 ? kBatchTileTokens * kPartBytes : 16;
  constexpr int kOffsets = RowLayout<Format>::kHasOffsets ? 2 * kBatchParts * kBatchRows : 4;
  FORGE_SHARED(int8_t, weights, kBatchRows * kPartBytes);
  FORGE_SHARED(int8_t, tokens, kBatchTileTokens * kPartBytes);
  FORGE_SHARED(int8_t, digits, kDigitBytes);
  FORGE_SHARED(float, scales, 2 * kBatchParts * kBatchRows);
  FORGE_SHARED(float, offsets, kOffsets);
  FORGE_SHARED(float, token_scales, kBatchParts* kBatchTileTokens);
  FORGE_SHARED(int, token_sums, kBatchParts* kBatchTileTokens);
  FORGE_SHARED(int, x_rows, kBatchTileTokens);
  FORGE_SHARED(int, y_rows, kBatchTileTokens);
  const BatchStage stage = {weights, tokens,       digits,     scales,
                            offsets, token_scales, token_sums, {x_rows, y_rows}};

  const BatchBlock block = FindBatchBlock(args);
  if (block.n_tokens == 0) return;
  FindBatchRows(args, block, stage.rows);
  __syncthreads();
  BatchWave<kWave> wave = MakeBatchWave<kWave>();
  const int64_t n_parts = args.n_cols / 32;
  for (int64_t part = 0; part < n_parts; part += kBatchParts) {
    StageWeights<Format>(stage, block.matrix, PackedRowBytes<Format>(args.n_cols), block.first_row,
                         block.target.n_rows, part, n_parts);
    StageTokens<Format>(stage, args.quantized, part, n_parts);
    __syncthreads();
    MultiplyStage<Format, kWave>(stage, block.n_tokens, wave);
    __syncthreads();  // the next parts take the place of these
  }
  StoreSums<kWave>(block.target, stage.rows, wave, block.first_row, block.expert);
}

template <typename Format>
Status LaunchBatchMatmul(MatvecArgs args, HipStream& stream) {
  auto* kernel = BatchMatmulKernel<Format, 32>;
#if !defined(FORGE_GPU_CUDA)
  if (stream.wave_size() == 64) kernel = BatchMatmulKernel<Format, 64>;
#endif
  return LaunchBatchKernel(kernel, args, stream);
}

}  // namespace forge
