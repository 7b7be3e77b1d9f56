#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/panel.h"

namespace forge {

// How matrix products are cut up, for the plain one and the one of experts.

// Tokens are worked on in spans whose activations stay in a core's second-level cache while the
// weights stream past.
constexpr int64_t kSpanActivationBytes = 384 << 10;

// A chunk should outweigh by far what it costs to take it, and be short against the whole. These
// are what a core multiplies and reads in about 50 us.
constexpr int64_t kChunkProducts = 4'000'000;
constexpr int64_t kChunkBytes = 512 << 10;
constexpr int64_t kMinChunksPerThread = 4;

// Tokens of a panel, which share the unpacking or expanding of weights: as many as are worth it,
// fewer where threads would have nothing to do. Their activations come from a third-level cache.
constexpr int64_t kMaxPanelTokens = 512;
constexpr int64_t kMinPanelTokens = 128;
// From this many tiles of kTileTokens on they are a panel.
constexpr int64_t kMinPanelTiles = 2;
// Row groups of a panel: at most, and how many share their loads of activations.
struct PanelGroups {
  int64_t max;
  int64_t at_once;
};
constexpr PanelGroups kPanelGroups = {6, 3};
constexpr PanelGroups kPromptPanelGroups = {8, 2};
static_assert(std::max(kPanelGroups.max, kPromptPanelGroups.max) == kMaxPanelGroups);

constexpr int64_t kMaxPanelRows = kMaxPanelGroups * kCpuPackRows;

// What an activation takes for `up` where there is no such matrix.
constexpr auto kOnes = [] {
  std::array<float, kMaxPanelRows> ones = {};
  ones.fill(1.0f);
  return ones;
}();

// For how many tokens lines of results are asked for before a panel is multiplied, and then ahead
// of those whose sums are stored.
constexpr int64_t kStoresAhead = 16;

// Stores the n_rows sums of one token: of one group without calling memmove.
inline void StoreRows(const float* sums, int n_rows, float* y) {
  if (n_rows == kCpuPackRows) {
    std::memcpy(y, sums, kCpuPackRows * sizeof(float));
  } else {
    std::memcpy(y, sums, static_cast<size_t>(n_rows) * sizeof(float));
  }
}

// Adds `values` to the sums of n_rows rows; quickly to those of whole groups.
inline void AddRows(const float* values, int n_rows, float* sums) {
  int r = 0;
  for (; r + kCpuPackRows <= n_rows; r += kCpuPackRows) {
    float whole[kCpuPackRows];
    std::memcpy(whole, values + r, sizeof(whole));
    for (int i = 0; i < kCpuPackRows; ++i) sums[r + i] += whole[i];
  }
  for (; r < n_rows; ++r) sums[r] += values[r];
}

constexpr int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many tokens of n_in inputs a span has: a multiple of those that share an unpacking of
// weights, which is worth more than the second-level cache where these are too many for it; at most
// kMaxPanelTokens. `token_bytes`: of activations, for each 32 columns.
constexpr int64_t SpanTokens(int64_t n_in, int64_t token_bytes) {
  constexpr int64_t kUnit = kMaxTiles * kTileTokens;
  const int64_t bytes = CeilDivide(n_in, kActivationBlockColumns) * token_bytes * kUnit;
  static_assert(kMaxPanelTokens % kUnit == 0);
  return std::clamp<int64_t>(kSpanActivationBytes / bytes, 1, kMaxPanelTokens / kUnit) * kUnit;
}

// How much a thread that waits fetches of what it reads first in the next product: a fraction of a
// second-level cache, and more than most waits have time for.
constexpr int64_t kFirstReadBytes = 256 << 10;

// Whether a product of several threads waits for memory rather than multiplies, and is so long that
// finding out what comes next costs nothing beside it.
constexpr bool IsBoundByMemory(int64_t n_tokens, int64_t weight_bytes, int n_threads) {
  return n_threads > 1 && n_tokens <= kTileTokens && weight_bytes >= kFirstReadBytes;
}

// How n_tokens tokens fall into tiles.
struct TokenTiles {
  int64_t n_tokens;

  // The first token, and the number of tokens, of the tile that `token` is in.
  static int64_t Start(int64_t token) { return token / kTileTokens * kTileTokens; }
  int Count(int64_t first_token) const {
    return static_cast<int>(std::min<int64_t>(kTileTokens, n_tokens - first_token));
  }
  // How many tiles a kernel takes at once from `first_token` on, the start of one, to `end_token`.
  int CountTiles(int64_t first_token, int64_t end_token) const {
    if (Count(first_token) != kTileTokens) return 1;
    return static_cast<int>(std::min<int64_t>(kMaxTiles, (end_token - first_token) / kTileTokens));
  }
};

constexpr int kMaxTokensAtOnce = kMaxTiles * kTileTokens;

// A number format as the kernels of a level take it.
struct MatmulFormat {
  const TileKernel* kernels;  // [n_tokens of the tile - 1]
  // Null where the level has none; that of prompts where it has none for the format.
  PanelKernel panel;
  PromptKernels::OfFormat prompt_panel;
  bool is_quantized;
  bool needs_digits;    // second digits of activations, see activation.h
  int64_t group_bytes;  // of 16 rows of n_cols

  // What a product reads of a token's activations, for each 32 columns.
  int64_t activation_bytes() const {
    if (!is_quantized) return kActivationBlockColumns * static_cast<int64_t>(sizeof(float));
    return needs_digits ? kActivationBytes : kActivationBlockBytes;
  }
};

// How many of n_tokens tokens, which start a tile, come as a panel: none or all whole tiles.
inline int64_t TokensInPanel(const MatmulFormat& format, int64_t n_tokens) {
  const int64_t n_tiles = n_tokens / kTileTokens;
  return format.panel != nullptr && n_tiles >= kMinPanelTiles ? n_tiles * kTileTokens : 0;
}

// Multiplies a panel of n_tokens tokens in tiles of tile_tokens, and calls store(token, sums of the
// rows of all groups) for each token; prefetch(token) comes some time before. Sets n_tiles and sums
// of the arguments.
template <typename Prefetch, typename Store>
void RunPanel(PanelKernel kernel, PanelArgs args, int tile_tokens, int64_t n_tokens,
              const Prefetch& prefetch, const Store& store) {
  alignas(64) float sums[kMaxPanelTokens * kMaxPanelRows];
  args.sums = sums;
  args.n_tiles = static_cast<int>(CeilDivide(n_tokens, tile_tokens));
  for (int64_t t = 0; t < std::min(n_tokens, kStoresAhead); ++t) prefetch(t);
  kernel(args);
  for (int64_t t = 0; t < n_tokens; ++t) {
    if (t + kStoresAhead < n_tokens) prefetch(t + kStoresAhead);
    store(t, sums + t * args.n_groups * kCpuPackRows);
  }
}

// REQUIRES: a known format; HasCpuLevel(level).
MatmulFormat FindMatmulFormat(DType dtype, int64_t n_cols, CpuLevel level);

}  // namespace forge
