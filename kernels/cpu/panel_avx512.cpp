#include <immintrin.h>

#include <algorithm>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/cpu/accumulate_avx512.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"
#include "kernels/cpu/prefetch.h"

// Compiled for AVX-512 with VNNI. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// A panel's columns are multiplied slice by slice, so that the weights of a few groups stay in the
// first-level cache while all tokens are multiplied with them.
constexpr int kSliceBlocks = 8;  // of 32 columns

// How many groups share their loads of activations: as many as leave room in the registers for the
// sums and products of four tokens, and for what the halves of 32 columns or the digits of
// activations give apart.
template <typename Layout>
constexpr int kGroupsAtOnce = Layout::kScales == 1 && Layout::kDigits == 1 ? 3 : 2;

// With twice as many groups in a slice activations are read half as often from the second-level
// cache, and what is fetched ahead finds less room. (Two Zen 5 cores, 1B Q4_K: 512 tokens are 8 %
// faster with four groups than with two, 16 take 3 % longer.)
template <typename Layout>
constexpr int kMaxSliceGroups = 2 * kGroupsAtOnce<Layout>;
template <typename Layout>
constexpr int SliceGroups(int n_tiles) {
  return n_tiles >= 8 ? kMaxSliceGroups<Layout> : kGroupsAtOnce<Layout>;
}

template <typename Layout>
constexpr int64_t kSliceBytes = kSliceBlocks / Layout::kSubBlocks * sizeof(typename Layout::Block);

// The codes of a slice of 16 rows, unpacked.
template <typename LayoutOfRows>
struct UnpackedSlice {
  using Layout = LayoutOfRows;
  using Codes = UnpackedCodes;
  UnpackedCodes codes[kSliceBlocks];

  // Takes n_blocks from `block` on.
  [[gnu::always_inline]] void Set(const typename Layout::Block* block, int n_blocks) {
    for (int i = 0; i < n_blocks; i += Layout::kSubBlocks, ++block) {
#pragma GCC unroll 1
      for (int s = 0; s < Layout::kSubBlocks; ++s)
        LoadSubBlock<Layout>(*block, s, codes[i + s].quads);
    }
  }
  [[gnu::always_inline]] const Codes* At(int i) const { return &codes[i]; }
};

// The same, still packed: they are unpacked in registers, again for each four tokens.
template <typename LayoutOfRows>
struct PackedSlice {
  using Layout = LayoutOfRows;
  using Codes = std::remove_extent_t<decltype(Layout::Block::codes)>;
  const typename Layout::Block* blocks;

  [[gnu::always_inline]] void Set(const typename Layout::Block* block, int /*n_blocks*/) {
    blocks = block;
  }
  [[gnu::always_inline]] const Codes* At(int i) const {
    return &blocks[i / Layout::kSubBlocks].codes[i % Layout::kSubBlocks];
  }
};

// Codes with all bits in one place, where they cost little to unpack, that are not bytes already.
template <typename Layout>
concept HasEasyCodes = Layout::kIsInOnePlane && !requires(const typename Layout::Block& block) {
  block.codes[0].bytes;
};

// On ports that do not multiply, unpacking such codes costs less than storing unpacked ones. (Two
// Zen 5 cores, one thread: Q4_K 6 % faster with 16 tokens, as fast with 128; Q5_K 5 % slower with
// 128.) Where these ports multiply too it costs more: see ShiftsWhereItMultiplies.
template <typename Layout, bool kUnpacksOnce>
using CodesOfSlice = std::conditional_t<Layout::kIsInOnePlane && !kUnpacksOnce, PackedSlice<Layout>,
                                        UnpackedSlice<Layout>>;

// A slice of 16 rows.
template <typename SliceCodes>
struct Slice {
  using Layout = typename SliceCodes::Layout;
  static constexpr int kOffsets = std::max(1, Layout::kOffsets);
  SliceCodes codes;
  __m512 scale[kSliceBlocks * Layout::kScales];
  __m512 offset[kSliceBlocks * kOffsets];

  // Takes n_blocks from `block` on.
  [[gnu::always_inline]] void Set(const typename Layout::Block* block, int n_blocks) {
    static_assert(kSliceBlocks % Layout::kSubBlocks == 0);
    codes.Set(block, n_blocks);
    for (int i = 0; i < n_blocks; i += Layout::kSubBlocks, ++block)
      LoadAllScales<Layout>(*block, scale + Layout::kScales * i, offset + kOffsets * i);
  }
  [[gnu::always_inline]] auto At(int i) const {
    return Columns<typename SliceCodes::Codes>{codes.At(i), scale + Layout::kScales * i,
                                               offset + kOffsets * i};
  }
};

// What the slices of a few groups are multiplied with, and where their sums are.
struct SliceArgs {
  ActivationTiles<kTileTokens> x;
  int64_t first_block;  // of 32 columns
  int n_blocks;
  int64_t token_sums;  // floats from token to token
};

// A group of a panel, beside its slice.
struct PanelGroup {
  const char* ahead;  // packed blocks to be fetched meanwhile, or null
  float* sums;        // of the tile in work
};

// Bytes of a sub-block of a group.
template <typename Layout>
constexpr int64_t kSubBlockBytes = sizeof(typename Layout::Block) / Layout::kSubBlocks;

// How many tiles share the fetching of what is next. Where one fetches it all while others follow,
// formats of eight bits wait for memory; two is what the smallest panels have. No other format
// gains on every machine (docs/cpu-matmul.md).
template <typename Layout>
constexpr int kFetchingTiles = kSubBlockBytes<Layout> >= 512 ? 2 : 1;

// Bytes that each of these fetches for 32 columns of a group, in whole lines.
template <typename Layout>
constexpr int64_t kTileFetches = (kSubBlockBytes<Layout> / kFetchingTiles<Layout> + 63) / 64 * 64;

// Adds the products of kGroups slices with kTokens tokens of a tile, the first of which is kToken,
// to their sums. Blocks are fetched little by little: asking for all at once would make the loads
// of the slices wait.
template <typename SliceCodes, int kGroups, int kTokens, int kToken>
[[gnu::always_inline]] inline void MultiplySlices(const Slice<SliceCodes>* slices,
                                                  const SliceArgs& args, int tile,
                                                  const PanelGroup* groups) {
  using Layout = typename SliceCodes::Layout;
  constexpr int64_t kTileBytes = kTileFetches<Layout>;
  // More than half the lines with the first tokens of a tile, the rest with the others.
  constexpr int64_t kFirstBytes = (kTileBytes / 64 + 1) / 2 * 64;
  constexpr int64_t kFirstFetched = kToken == 0 ? 0 : kFirstBytes;
  constexpr int64_t kFetchedBytes = kTokens == kTileTokens ? kTileBytes
                                    : kToken > 0           ? kTileBytes - kFirstBytes
                                                           : kFirstBytes;
  __m512 sums[kGroups][kTokens];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
    const float* const results = groups[g].sums + kToken * args.token_sums;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      sums[g][t] = args.first_block == 0 ? _mm512_setzero_ps()
                                         : _mm512_load_ps(results + t * args.token_sums);
  }
#pragma GCC unroll 1
  for (int i = 0; i < args.n_blocks; ++i) {
    Columns<typename SliceCodes::Codes> columns[kGroups];
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
      if (groups[g].ahead != nullptr)
        Prefetch<kFetchedBytes>(groups[g].ahead + i * kSubBlockBytes<Layout> + kFirstFetched);
      columns[g] = slices[g].At(i);
    }
    const int64_t block = args.first_block + i;
    Accumulate<Layout>(columns, args.x.Block(tile, block), args.x.Digits(tile, block), kToken,
                       sums);
  }
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) {
    float* const results = groups[g].sums + kToken * args.token_sums;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) _mm512_store_ps(results + t * args.token_sums, sums[g][t]);
  }
}

// The same for all tokens of the tile.
template <typename SliceCodes, int kGroups>
[[gnu::always_inline]] inline void MultiplyTile(const Slice<SliceCodes>* slices,
                                                const SliceArgs& args, int tile,
                                                const PanelGroup* groups) {
  if constexpr (kGroups == 1) {
    MultiplySlices<SliceCodes, 1, 8, 0>(slices, args, tile, groups);
  } else {
    MultiplySlices<SliceCodes, kGroups, 4, 0>(slices, args, tile, groups);
    MultiplySlices<SliceCodes, kGroups, 4, 4>(slices, args, tile, groups);
  }
}

// Slices of a few groups with all tokens.
template <typename SliceCodes>
[[gnu::always_inline]] inline void MultiplyTiles(const Slice<SliceCodes>* slices, int n_groups,
                                                 const SliceArgs& args, int n_tiles,
                                                 PanelGroup* groups) {
  using Layout = typename SliceCodes::Layout;
  constexpr int kGroups = kGroupsAtOnce<Layout>;
  for (int tile = 0; tile < n_tiles; ++tile) {
    int g = 0;
    for (; g + kGroups <= n_groups; g += kGroups)
      MultiplyTile<SliceCodes, kGroups>(slices + g, args, tile, groups + g);
    if (kGroups == 3 && n_groups - g == 2) {
      MultiplyTile<SliceCodes, 2>(slices + g, args, tile, groups + g);
    } else if (g < n_groups) {
      MultiplyTile<SliceCodes, 1>(slices + g, args, tile, groups + g);
    }
    for (g = 0; g < n_groups; ++g) {
      groups[g].ahead =
          tile + 1 < kFetchingTiles<Layout> ? groups[g].ahead + kTileFetches<Layout> : nullptr;
      groups[g].sums += kTileTokens * args.token_sums;
    }
  }
}

template <typename SliceCodes>
void RunQuantizedPanel(const PanelArgs& args) {
  using Layout = typename SliceCodes::Layout;
  using Block = typename Layout::Block;
  static_assert(kTileTokens == 8);
  alignas(64) Slice<SliceCodes> slices[kMaxSliceGroups<Layout>];
  const int64_t n_blocks = args.n_cols / kActivationBlockColumns;
  const int slice_groups = SliceGroups<Layout>(args.n_tiles);
  for (int group = 0; group < args.n_groups; group += slice_groups) {
    const int n_groups = std::min(slice_groups, args.n_groups - group);
    for (int64_t k = 0; k < n_blocks; k += kSliceBlocks) {
      const int n = static_cast<int>(std::min<int64_t>(kSliceBlocks, n_blocks - k));
      // Fetched are the next slices, or the first of the groups behind these.
      const int64_t first_bytes = k / Layout::kSubBlocks * sizeof(Block);
      const int64_t ahead =
          k + n < n_blocks ? kSliceBytes<Layout> : slice_groups * args.group_bytes - first_bytes;
      PanelGroup groups[kMaxSliceGroups<Layout>];
      for (int g = 0; g < n_groups; ++g) {
        const std::byte* blocks = args.weights + (group + g) * args.group_bytes + first_bytes;
        slices[g].Set(reinterpret_cast<const Block*>(blocks), n);
        groups[g] = {reinterpret_cast<const char*>(blocks) + ahead, args.sums + 16 * (group + g)};
      }
      MultiplyTiles<SliceCodes>(slices, n_groups,
                                {.x = {args.activations, args.n_cols},
                                 .first_block = k,
                                 .n_blocks = n,
                                 .token_sums = int64_t{16} * args.n_groups},
                                args.n_tiles, groups);
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
  float* sums;    // of the first token and group
  int64_t token_sums;
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
      float* const sum = args.sums + t * args.token_sums + 16 * g;
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
                   .sums = args.sums + int64_t{16} * (token * args.n_groups + group),
                   .token_sums = int64_t{16} * args.n_groups,
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

template <typename Format, bool kUnpacksOnce>
void RunPanel(const PanelArgs& args) {
  using Layout = PackLayout<Format>;
  if constexpr (Layout::kIsQuantized) {
    RunQuantizedPanel<CodesOfSlice<Layout, kUnpacksOnce>>(args);
  } else {
    RunFloatPanel<Layout>(args);
  }
}

template <typename Format, bool kUnpacksOnce>
consteval PanelKernel PanelOf() {
  if constexpr (HasEasyCodes<PackLayout<Format>>) return RunPanel<Format, kUnpacksOnce>;
  return RunPanel<Format, false>;
}

template <bool kUnpacksOnce, size_t... kFormat>
consteval PanelTable MakePanels(std::index_sequence<kFormat...> /*formats*/) {
  return {PanelOf<std::tuple_element_t<kFormat, Formats>, kUnpacksOnce>()...};
}

template <bool kUnpacksOnce>
consteval PanelTable MakePanels() {
  return MakePanels<kUnpacksOnce>(std::make_index_sequence<MatmulKernels::kFormats>());
}

}  // namespace

constinit const PanelTable kPanelsAvx512 = MakePanels<false>();
constinit const PanelTable kUnpackingPanelsAvx512 = MakePanels<true>();

}  // namespace forge
