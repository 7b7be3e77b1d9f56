#pragma once

#include <string>

#include "kernels/hip/activate.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/matvec.h"
#include "kernels/hip/wave_reduce.h"
#include "kernels/hip/weight_reader.h"

namespace forge {

constexpr int kMatvecThreads = 128;

// Rows of a wave: several, so that what is loaded of the activations serves more than one. With an
// activation they are a row of gate and the same of up.
constexpr int kMatvecRows = 2;

constexpr int MatvecRowsOfBlock(int wave, bool is_gated) {
  return kMatvecThreads / wave * (is_gated ? 1 : kMatvecRows);
}

// The tokens of a tile. Those beyond its end repeat the last, and are not stored.
template <int kTokens>
struct MatvecTokens {
  int64_t first;  // entry of the order, or token
  int count;
  int x_rows[kTokens];  // row of x of each
};

template <int kTokens>
FORGE_DEVICE MatvecTokens<kTokens> FindTokens(const MatvecArgs& args, int64_t tile,
                                              const ExpertTile* experts) {
  MatvecTokens<kTokens> tokens;
  tokens.first = experts != nullptr ? experts->first : tile * kTokens;
  const int64_t left = experts != nullptr ? experts->count : args.n_tokens - tokens.first;
  tokens.count = left < kTokens ? static_cast<int>(left) : kTokens;
  FORGE_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    const int64_t at = tokens.first + (t < tokens.count ? t : tokens.count - 1);
    tokens.x_rows[t] =
        experts != nullptr ? args.order[at] / args.pairs_per_row : static_cast<int>(at);
  }
  return tokens;
}

// acc += the part's products. `sums` as in QuantizedActivations; `digits` are read if the format
// has two.
template <typename Format>
FORGE_DEVICE float MultiplyPart(const WeightPart& weights, const int (&codes)[8],
                                const int (&digits)[8], float scale, int sums, float acc) {
  using Layout = RowLayout<Format>;
  const int sum[2] = {static_cast<int16_t>(sums & 0xffff), sums >> 16};
  float value = 0.0f;
  if constexpr (Layout::kScales == 1) {
    const int whole = sum[0] + sum[1];
    int dot = -Layout::kZero * whole;
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q) dot = Dot4(weights.codes[q], codes[q], dot);
    value = weights.scales[0] * static_cast<float>(dot);
    if constexpr (Layout::kHasOffsets)
      value = fmaf(weights.offsets[0], static_cast<float>(whole), value);
  } else {
    FORGE_UNROLL
    for (int h = 0; h < 2; ++h) {
      int dot = -Layout::kZero * sum[h];
      FORGE_UNROLL
      for (int q = 4 * h; q < 4 * h + 4; ++q) dot = Dot4(weights.codes[q], codes[q], dot);
      value = fmaf(weights.scales[h], static_cast<float>(dot), value);
      if constexpr (Layout::kHasOffsets)
        value = fmaf(weights.offsets[h], static_cast<float>(sum[h]), value);
    }
  }
  if constexpr (Layout::kDigits == 2) {
    static_assert(Layout::kScales == 1 && Layout::kZero == 0 && !Layout::kHasOffsets);
    int dot = 0;
    FORGE_UNROLL
    for (int q = 0; q < 8; ++q) dot = Dot4(weights.codes[q], digits[q], dot);
    value = fmaf(weights.scales[0] * kDigitStep, static_cast<float>(dot), value);
  }
  return fmaf(scale, value, acc);
}

FORGE_DEVICE void LoadEightWords(const int8_t* at, int (&words)[8]) {
  const auto* from = reinterpret_cast<const Words4*>(at);
  const Words4 low = from[0], high = from[1];
  FORGE_UNROLL
  for (int q = 0; q < 4; ++q) {
    words[q] = static_cast<int>(low.w[q]);
    words[q + 4] = static_cast<int>(high.w[q]);
  }
}

template <typename Format, int kWave, int kRows, int kTokens>
FORGE_DEVICE void MultiplyQuantized(const MatvecArgs& args, const std::byte* const (&rows)[kRows],
                                    const MatvecTokens<kTokens>& tokens, int lane,
                                    float (&acc)[kRows * kTokens]) {
  const int64_t n_parts = args.n_cols / 32;
  for (int64_t part = lane; part < n_parts; part += kWave) {
    WeightPart weights[kRows];
    FORGE_UNROLL
    for (int r = 0; r < kRows; ++r) LoadWeightPart<Format>(rows[r], n_parts, part, weights[r]);
    FORGE_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const int64_t at = tokens.x_rows[t] * n_parts + part;
      int codes[8], digits[8] = {};
      LoadEightWords(args.quantized.codes + 32 * at, codes);
      if constexpr (RowLayout<Format>::kDigits == 2)
        LoadEightWords(args.quantized.digits + 32 * at, digits);
      const float scale = args.quantized.scales[at];
      const int sums = args.quantized.sums[at];
      FORGE_UNROLL
      for (int r = 0; r < kRows; ++r)
        acc[r * kTokens + t] =
            MultiplyPart<Format>(weights[r], codes, digits, scale, sums, acc[r * kTokens + t]);
    }
  }
}

template <typename Format, int kWave, int kRows, int kTokens>
FORGE_DEVICE void MultiplyFloats(const MatvecArgs& args, const std::byte* const (&rows)[kRows],
                                 const MatvecTokens<kTokens>& tokens, int lane,
                                 float (&acc)[kRows * kTokens]) {
  using Element = typename RowLayout<Format>::Element;
  struct alignas(4 * sizeof(Element)) Elements {
    Element e[4];
  };
  for (int64_t col = 4 * lane; col < args.n_cols; col += 4 * kWave) {
    float weights[kRows][4];
    FORGE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      // Rows are filled up with zeros to 16 bytes, so that the last four are all there.
      const auto elements = reinterpret_cast<const Elements*>(rows[r])[col / 4];
      FORGE_UNROLL
      for (int i = 0; i < 4; ++i) weights[r][i] = WeightToFloat(elements.e[i]);
    }
    FORGE_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      const float* x = args.x + tokens.x_rows[t] * args.n_cols + col;
      float values[4];
      FORGE_UNROLL
      for (int i = 0; i < 4; ++i) values[i] = col + i < args.n_cols ? x[i] : 0.0f;
      FORGE_UNROLL
      for (int r = 0; r < kRows; ++r) {
        FORGE_UNROLL
        for (int i = 0; i < 4; ++i)
          acc[r * kTokens + t] = fmaf(weights[r][i], values[i], acc[r * kTokens + t]);
      }
    }
  }
}

// Adds what belongs to the sums of a wave and stores them. `expert`: negative if there is none
// such.
template <int kWave, int kRows, int kTokens>
FORGE_DEVICE void StoreSums(const MatvecArgs& args, const MatvecTarget& target,
                            const MatvecTokens<kTokens>& tokens, int64_t first_row, int expert,
                            bool is_of_experts, int lane, float (&acc)[kRows * kTokens]) {
  constexpr int kCount = kRows * kTokens;
  float sum = ScatterSums<kWave>(acc, lane);
  const int index = ScatteredIndex<kCount>(lane);
  const int t = index % kTokens;
  const int64_t row = args.is_gated ? first_row : first_row + index / kTokens;
  const bool is_there = row < target.n_rows;
  const float* bias = args.is_gated && index >= kTokens ? args.targets[1].bias : target.bias;
  if (expert < 0) {
    sum = NAN;
  } else if (bias != nullptr && is_there) {
    sum += bias[expert * target.n_rows + row];
  }
  if (args.is_gated) {
    static_assert(kRows == 2);
    // The top bit of the index, which tells up from gate, is the lowest of the lane.
    const float up = ShuffleXor<kWave>(sum, 1);
    sum = Activate(args.activation, sum, up);
  } else if (args.is_activated) {
    sum = Activate(args.activation, sum, 1.0f);
  }
  const bool is_stored = lane < kCount && !(args.is_gated && index >= kTokens);
  if (!is_stored || t >= tokens.count || !is_there) return;
  const int64_t y_row = is_of_experts ? args.order[tokens.first + t] : tokens.first + t;
  const int64_t at = y_row * target.n_rows + row;
  if (target.residual != nullptr) sum += target.residual[at];
  target.y[at] = sum;
}

template <typename Format, int kWave, int kTokens>
__global__ void __launch_bounds__(kMatvecThreads) MatvecKernel(MatvecArgs args) {
  constexpr int kRows = kMatvecRows;
  constexpr int kCount = kRows * kTokens;
  // Blocks that read the same weights follow each other.
  const int64_t tile = blockIdx.x % args.n_tiles;
  const int row_block = static_cast<int>(blockIdx.x / args.n_tiles);
  const ExpertTile* experts = args.tiles != nullptr ? args.tiles + tile : nullptr;
  if (experts != nullptr && experts->count == 0) return;

  MatvecTarget target = args.targets[0];
  if (args.n_targets > 1 && row_block >= args.targets[1].first_block) target = args.targets[1];
  if (args.n_targets > 2 && row_block >= args.targets[2].first_block) target = args.targets[2];
  const int wave = static_cast<int>(threadIdx.x) / kWave;
  const int lane = static_cast<int>(threadIdx.x) % kWave;
  const int64_t first_row = static_cast<int64_t>(row_block - target.first_block) *
                                MatvecRowsOfBlock(kWave, args.is_gated) +
                            wave * (args.is_gated ? 1 : kRows);
  if (first_row >= target.n_rows) return;

  const MatvecTokens<kTokens> tokens = FindTokens<kTokens>(args, tile, experts);
  const int expert = experts != nullptr ? experts->expert : 0;
  const bool is_expert_there = experts == nullptr || expert < args.n_experts;
  const std::byte* rows[kRows];
  FORGE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    // Values are chosen, not structures: those would have to lie in memory.
    const bool is_up = args.is_gated && r == 1;
    const std::byte* matrices = is_up ? args.targets[1].weights : target.weights;
    const uint64_t stride = is_up ? args.targets[1].expert_stride : target.expert_stride;
    int64_t row = args.is_gated ? first_row : first_row + r;
    if (row >= target.n_rows) row = target.n_rows - 1;
    rows[r] = matrices + (is_expert_there ? expert * stride : 0) +
              row * PackedRowBytes<Format>(args.n_cols);
  }
  float acc[kCount] = {};
  if constexpr (RowLayout<Format>::kIsFloat) {
    MultiplyFloats<Format, kWave, kRows, kTokens>(args, rows, tokens, lane, acc);
  } else {
    MultiplyQuantized<Format, kWave, kRows, kTokens>(args, rows, tokens, lane, acc);
  }
  StoreSums<kWave, kRows, kTokens>(args, target, tokens, first_row, is_expert_there ? expert : -1,
                                   experts != nullptr, lane, acc);
}

template <typename Format, int kWave, int kTokens>
Status LaunchMatvecOf(MatvecArgs& args, HipStream& stream) {
  if (args.is_gated) args.n_targets = 1;  // a block has rows of both
  const int rows_of_block = MatvecRowsOfBlock(kWave, args.is_gated);
  int64_t n_row_blocks = 0;
  for (int i = 0; i < args.n_targets; ++i) {
    args.targets[i].first_block = n_row_blocks;
    n_row_blocks += (args.targets[i].n_rows + rows_of_block - 1) / rows_of_block;
  }
  if (args.tiles == nullptr) args.n_tiles = (args.n_tokens + kTokens - 1) / kTokens;
  const int64_t n_blocks = n_row_blocks * args.n_tiles;
  if (n_blocks > INT32_MAX)
    return InvalidArgument("matmul: rows times tokens are too many for one launch: blocks " +
                           std::to_string(n_blocks));
  return LaunchKernel("matvec", MatvecKernel<Format, kWave, kTokens>,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kMatvecThreads}, stream,
                      args);
}

template <typename Format, int kTokens>
Status LaunchMatvecByWave(MatvecArgs& args, HipStream& stream) {
#if !defined(FORGE_GPU_CUDA)
  if (stream.wave_size() == 64) return LaunchMatvecOf<Format, 64, kTokens>(args, stream);
#endif
  return LaunchMatvecOf<Format, 32, kTokens>(args, stream);
}

template <typename Format>
Status LaunchMatvec(MatvecArgs args, int tile_tokens, HipStream& stream) {
  switch (tile_tokens) {
    case 1:
      return LaunchMatvecByWave<Format, 1>(args, stream);
    case 2:
      return LaunchMatvecByWave<Format, 2>(args, stream);
    case 4:
      return LaunchMatvecByWave<Format, 4>(args, stream);
    default:
      return LaunchMatvecByWave<Format, 8>(args, stream);
  }
}

}  // namespace forge
