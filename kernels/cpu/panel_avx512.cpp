#include <immintrin.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "kernels/cpu/accumulate_avx512.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"

// Compiled for AVX-512 with VNNI. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// A panel's columns are multiplied slice by slice, so that the unpacked weights of a few groups
// stay in the first-level cache while all tokens are multiplied with them. With four groups there
// activations are read half as often from the second-level cache as with two, and what is fetched
// ahead finds less room. (Two Zen 5 cores, 1B Q4_K: 512 tokens are 8 % faster, 16 take 3 % longer.)
constexpr int kSliceBlocks = 8;  // of 32 columns
constexpr int kMaxSliceGroups = 4;
constexpr int SliceGroups(int n_tiles) { return n_tiles >= 8 ? kMaxSliceGroups : 2; }

template <typename Layout>
constexpr int64_t kSliceBytes = kSliceBlocks / Layout::kSubBlocks * sizeof(typename Layout::Block);

// A slice of 16 rows.
template <typename Layout>
struct Slice {
  static constexpr int kOffsets = std::max(1, Layout::kOffsets);
  __m512i codes[kSliceBlocks][8];
  __m512 scale[kSliceBlocks * Layout::kScales];
  __m512 offset[kSliceBlocks * kOffsets];

  // Unpacks n_blocks from `block` on.
  [[gnu::always_inline]] void Unpack(const typename Layout::Block* block, int n_blocks) {
    static_assert(kSliceBlocks % Layout::kSubBlocks == 0);
    for (int i = 0; i < n_blocks; i += Layout::kSubBlocks, ++block) {
      LoadAllScales<Layout>(*block, scale + Layout::kScales * i, offset + kOffsets * i);
#pragma GCC unroll 1
      for (int s = 0; s < Layout::kSubBlocks; ++s) LoadSubBlock<Layout>(*block, s, codes[i + s]);
    }
  }

  [[gnu::always_inline]] Columns At(int i) const {
    return {codes[i], scale + Layout::kScales * i, offset + kOffsets * i};
  }
};

// A group of a panel, beside its slice.
struct PanelGroup {
  const char* ahead;  // packed blocks to be fetched meanwhile, or null
  float* sums;        // of the tile in work
};

// Adds the products of kGroups slices, whose first block is `k`, with kTokens tokens of a tile to
// their sums. Blocks are fetched little by little: asking for all at once would make the loads of
// the slices wait.
template <typename Layout, int kGroups, int kTokens, int kToken>
[[gnu::always_inline]] inline void MultiplySlices(const Slice<Layout>* slices, int n_blocks,
                                                  const ActivationTiles<kTileTokens>& x, int tile,
                                                  int64_t k, const PanelGroup* groups) {
  constexpr int64_t kSubBytes = sizeof(typename Layout::Block) / Layout::kSubBlocks;
  __m512 sums[kGroups][kTokens];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    const float* const results = groups[g].sums + 16 * kToken;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      sums[g][t] = k == 0 ? _mm512_setzero_ps() : _mm512_load_ps(results + 16 * t);
  }
#pragma GCC unroll 1
  for (int i = 0; i < n_blocks; ++i) {
    Columns columns[kGroups];
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      if (kToken == 0 && groups[g].ahead != nullptr)
        Prefetch<kSubBytes>(groups[g].ahead + i * kSubBytes);
      columns[g] = slices[g].At(i);
    }
    Accumulate<Layout, kGroups, kTokens>(columns, x.Block(tile, k + i), x.Digits(tile, k + i),
                                         kToken, sums);
  }
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    float* const results = groups[g].sums + 16 * kToken;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) _mm512_store_ps(results + 16 * t, sums[g][t]);
  }
}

// Slices of a few groups with all tokens. Two groups share their loads of activations.
template <typename Layout>
[[gnu::always_inline]] inline void MultiplyTiles(const Slice<Layout>* slices, int n_groups,
                                                 int n_blocks, int64_t k, const PanelArgs& args,
                                                 PanelGroup* groups) {
  const ActivationTiles<kTileTokens> x(args.activations, args.n_cols);
  for (int tile = 0; tile < args.n_tiles; ++tile) {
    int g = 0;
    for (; g + 2 <= n_groups; g += 2) {
      MultiplySlices<Layout, 2, 4, 0>(slices + g, n_blocks, x, tile, k, groups + g);
      MultiplySlices<Layout, 2, 4, 4>(slices + g, n_blocks, x, tile, k, groups + g);
    }
    if (g < n_groups) MultiplySlices<Layout, 1, 8, 0>(slices + g, n_blocks, x, tile, k, groups + g);
    for (g = 0; g < n_groups; ++g) groups[g] = {nullptr, groups[g].sums + 16 * kTileTokens};
  }
}

template <typename Layout>
void RunQuantizedPanel(const PanelArgs& args) {
  using Block = typename Layout::Block;
  static_assert(kTileTokens == 8);
  alignas(64) Slice<Layout> slices[kMaxSliceGroups];
  const int64_t n_blocks = args.n_cols / kActivationBlockColumns;
  const int64_t group_sums = int64_t{16 * kTileTokens} * args.n_tiles;
  const int slice_groups = SliceGroups(args.n_tiles);
  for (int group = 0; group < args.n_groups; group += slice_groups) {
    const int n_groups = std::min(slice_groups, args.n_groups - group);
    for (int64_t k = 0; k < n_blocks; k += kSliceBlocks) {
      const int n = static_cast<int>(std::min<int64_t>(kSliceBlocks, n_blocks - k));
      // Fetched are the next slices, or the first of the groups behind these.
      const int64_t first_bytes = k / Layout::kSubBlocks * sizeof(Block);
      const int64_t ahead =
          k + n < n_blocks ? kSliceBytes<Layout> : slice_groups * args.group_bytes - first_bytes;
      PanelGroup groups[kMaxSliceGroups];
      for (int g = 0; g < n_groups; ++g) {
        const std::byte* blocks = args.weights + (group + g) * args.group_bytes + first_bytes;
        slices[g].Unpack(reinterpret_cast<const Block*>(blocks), n);
        groups[g] = {reinterpret_cast<const char*>(blocks) + ahead,
                     args.sums + (group + g) * group_sums};
      }
      MultiplyTiles<Layout>(slices, n_groups, n, k, args, groups);
    }
  }
}

// Tokens at once: with more of them and two groups the sums would not fit the registers.
constexpr int kFloatTokens = 4;

using FloatSlice = float[kFloatSliceColumns][16];  // 16 rows

template <typename Layout>
[[gnu::always_inline]] inline void UnpackFloats(const typename Layout::Block* block, int n_cols,
                                                FloatSlice& slice) {
  for (int i = 0; i < n_cols; ++i) _mm512_store_ps(slice[i], LoadElements(block[i].values));
}

// What slices of floats are multiplied with: kFloatTokens tokens.
struct FloatSliceArgs {
  const float* x;  // the first column of the first token
  int64_t stride;  // from token to token
  int n_cols;
  bool is_first;  // there are no sums yet
  float* sums;    // of the first group
  int64_t group_sums;
  const char* ahead;  // columns of the first group to be fetched meanwhile, or null
  int64_t group_bytes;
};

// Adds the products of kGroups slices to the sums of the tokens.
template <typename Layout, int kGroups>
[[gnu::always_inline]] inline void MultiplyFloatSlices(const FloatSlice* slices,
                                                       const FloatSliceArgs& args) {
  constexpr int64_t kColumnBytes = sizeof(typename Layout::Block);
  __m512 sums[2][kGroups][kFloatTokens];  // of even and of odd columns
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kFloatTokens; ++t) sums[0][g][t] = sums[1][g][t] = _mm512_setzero_ps();
  }
  const auto add = [&](int k, int parity) __attribute__((always_inline)) {
    __m512 weights[kGroups];
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) weights[g] = _mm512_load_ps(slices[g][k]);
#pragma GCC unroll 8
    for (int t = 0; t < kFloatTokens; ++t) {
      const __m512 value = _mm512_set1_ps(args.x[t * args.stride + k]);
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g)
        sums[parity][g][t] = _mm512_fmadd_ps(weights[g], value, sums[parity][g][t]);
    }
  };
  int k = 0;
  for (; k + 2 <= args.n_cols; k += 2) {
    if (args.ahead != nullptr) {
      for (int g = 0; g < kGroups; ++g)
        Prefetch<2 * kColumnBytes>(args.ahead + g * args.group_bytes + k * kColumnBytes);
    }
    add(k, 0);
    add(k + 1, 1);
  }
  if (k < args.n_cols) add(k, 0);
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kFloatTokens; ++t) {
      float* const sum = args.sums + g * args.group_sums + 16 * t;
      const __m512 before = args.is_first ? _mm512_setzero_ps() : _mm512_load_ps(sum);
      _mm512_store_ps(sum, _mm512_add_ps(before, _mm512_add_ps(sums[0][g][t], sums[1][g][t])));
    }
  }
}

template <typename Layout, int kGroups>
[[gnu::always_inline]] inline void RunFloatGroups(const PanelArgs& args, int group) {
  using Block = typename Layout::Block;
  alignas(64) FloatSlice slices[kGroups];
  const int n_tokens = args.n_tiles * kTileTokens;
  const auto* const x = reinterpret_cast<const float*>(args.activations);
  const std::byte* const weights = args.weights + group * args.group_bytes;
  for (int64_t k = 0; k < args.n_cols; k += kFloatSliceColumns) {
    const int n = static_cast<int>(std::min<int64_t>(kFloatSliceColumns, args.n_cols - k));
    for (int g = 0; g < kGroups; ++g)
      UnpackFloats<Layout>(reinterpret_cast<const Block*>(weights + g * args.group_bytes) + k, n,
                           slices[g]);
    // The next slices, or the first of the groups behind these.
    const auto* ahead = reinterpret_cast<const char*>(
        k + n < args.n_cols ? weights + (k + n) * static_cast<int64_t>(sizeof(Block))
                            : weights + kGroups * args.group_bytes);
    for (int token = 0; token < n_tokens; token += kFloatTokens, ahead = nullptr)
      MultiplyFloatSlices<Layout, kGroups>(
          slices, {.x = x + token * args.n_cols + k,
                   .stride = args.n_cols,
                   .n_cols = n,
                   .is_first = k == 0,
                   .sums = args.sums + int64_t{16} * (group * n_tokens + token),
                   .group_sums = int64_t{16} * n_tokens,
                   .ahead = ahead,
                   .group_bytes = args.group_bytes});
  }
}

template <typename Layout>
[[gnu::always_inline]] inline void RunFloatPanel(const PanelArgs& args) {
  int group = 0;
  for (; group + 2 <= args.n_groups; group += 2) RunFloatGroups<Layout, 2>(args, group);
  if (group < args.n_groups) RunFloatGroups<Layout, 1>(args, group);
}

template <typename Format>
void RunPanel(const PanelArgs& args) {
  using Layout = PackLayout<Format>;
  if constexpr (Layout::kIsQuantized) {
    RunQuantizedPanel<Layout>(args);
  } else {
    RunFloatPanel<Layout>(args);
  }
}

template <size_t... kFormat>
consteval PanelTable MakePanels(std::index_sequence<kFormat...>) {
  return {RunPanel<std::tuple_element_t<kFormat, Formats>>...};
}

}  // namespace

constinit const PanelTable kPanelsAvx512 =
    MakePanels(std::make_index_sequence<MatmulKernels::kFormats>());

}  // namespace forge
