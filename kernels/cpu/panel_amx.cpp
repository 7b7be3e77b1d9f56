#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/prefetch.h"

// Compiled for AVX-512 and AMX-BF16. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// Columns are multiplied slice by slice, so that the weights of two row groups, once expanded, stay
// in the first-level cache while all tokens are multiplied with them.
constexpr int kSliceBlocks = 8;
static_assert(kSliceBlocks % 8 == 0, "a slice has whole blocks of every format");

// The codes of column i of a quad.
template <typename Layout>
[[gnu::always_inline]] inline __m512 CodesOf(__m512i quad, int i) {
  const __m512i shifted = i == 0 ? quad : _mm512_srl_epi32(quad, _mm_cvtsi32_si128(8 * i));
  if constexpr (Layout::kBits <= 4) {  // a lookup that ignores the other columns
    return _mm512_permutexvar_ps(
        shifted, _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  } else {
    return _mm512_cvtepi32_ps(_mm512_and_si512(shifted, _mm512_set1_epi32(255)));
  }
}

// Expands sub-block s of 16 rows. `scale` and `offset`: its own.
template <typename Layout>
[[gnu::always_inline]] inline void ExpandSubBlock(const typename Layout::Block& block, int64_t s,
                                                  const __m512* scale, const __m512* offset,
                                                  Bf16Tile& tile) {
  __m512i codes[8];
  LoadSubBlock<Layout>(block, s, codes);
  __m512 factor[Layout::kScales];
  __m512 start[Layout::kScales];  // of codes 0
#pragma GCC unroll 2
  for (int h = 0; h < Layout::kScales; ++h) {
    factor[h] = WithPlainNan(scale[h]);
    start[h] = Layout::kOffsets > 0 ? WithPlainNan(offset[h])
                                    : _mm512_mul_ps(factor[h], _mm512_set1_ps(-Layout::kZero));
  }
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
    const int h = q / (8 / Layout::kScales);
    __m512i rounded[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      rounded[i] = RoundLanes(_mm512_fmadd_ps(CodesOf<Layout>(codes[q], i), factor[h], start[h]));
    _mm512_store_si512(tile.pairs[2 * q], ToPairs(rounded[0], rounded[1]));
    _mm512_store_si512(tile.pairs[2 * q + 1], ToPairs(rounded[2], rounded[3]));
  }
}

// Expands the blocks of 32 columns in [first, end) of a group, and fetches those of the next slice.
template <typename Layout>
void ExpandQuantized(const std::byte* group, int64_t first, int64_t end, Bf16Tile (*tiles)[1]) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const auto* block = reinterpret_cast<const Block*>(group) + first / Layout::kSubBlocks;
  const auto* ahead = reinterpret_cast<const char*>(block) + kSliceBlocks * kSubBytes;
  for (int64_t i = first; i < end; i += Layout::kSubBlocks, ++block) {
    __m512 scale[Layout::kScales * Layout::kSubBlocks];
    __m512 offset[kOffsets * Layout::kSubBlocks];
    LoadAllScales<Layout>(*block, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++tiles, ahead += kSubBytes) {
      Prefetch<kSubBytes>(ahead);
      ExpandSubBlock<Layout>(*block, s, scale + Layout::kScales * s, offset + kOffsets * s,
                             (*tiles)[0]);
    }
  }
}

// F16 weights are the sum of two bfloat16 numbers, and have two tiles.
template <typename Element, int kDigits>
[[gnu::always_inline]] inline void ExpandPair(const Element (*columns)[16], int pair,
                                              Bf16Tile (&tiles)[kDigits]) {
  StorePair(LoadElements(columns[0]), LoadElements(columns[1]), pair, tiles);
}

template <typename Layout, int kDigits>
void ExpandFloats(const std::byte* group, int64_t n_cols, int64_t first, int64_t end,
                  Bf16Tile (*tiles)[kDigits]) {
  using Element = typename Layout::Element;
  const auto* columns = reinterpret_cast<const Element(*)[16]>(group);
  for (int64_t i = first; i < end; ++i, ++tiles) {
    const int64_t column = i * kPanelBlockColumns;
    const auto n_pairs = static_cast<int>(
        (n_cols - column < kPanelBlockColumns ? n_cols - column : kPanelBlockColumns) / 2);
    for (int pair = 0; pair < n_pairs; ++pair) {
      const Element(*two)[16] = columns + column + 2 * pair;
      _mm_prefetch(reinterpret_cast<const char*>(two + kSliceBlocks * kPanelBlockColumns),
                   _MM_HINT_T0);
      ExpandPair(two, pair, *tiles);
    }
    if (n_pairs == kPanelBlockColumns / 2) continue;
    const bool is_odd = n_cols % 2 != 0;
    Element last[2][16] = {};
    if (is_odd) std::memcpy(last[0], columns[n_cols - 1], sizeof(last[0]));
    for (int pair = n_pairs; pair < kPanelBlockColumns / 2; ++pair) {
      ExpandPair(last, pair, *tiles);
      std::memset(last[0], 0, sizeof(last[0]));
    }
  }
}

template <typename Layout, int kDigits>
[[gnu::always_inline]] inline void Expand(const std::byte* group, int64_t n_cols, int64_t first,
                                          int64_t end, Bf16Tile (*tiles)[kDigits]) {
  if constexpr (Layout::kIsQuantized) {
    ExpandQuantized<Layout>(group, first, end, tiles);
  } else {
    ExpandFloats<Layout, kDigits>(group, n_cols, first, end, tiles);
  }
}

// Where the sums of up to two tiles of tokens with up to two groups are, and what they are made of.
template <int kDigits>
struct SliceArgs {
  const std::byte* activations;
  int64_t tile_bytes;                                // of activations, from tile to tile
  int64_t block_bytes;                               // of activations, from 32 columns to the next
  const Bf16Tile (*weights)[kSliceBlocks][kDigits];  // [group]
  int n_blocks;
  bool is_first;       // there are no sums yet
  float* sums;         // those of the second group are the next 16
  int64_t token_sums;  // from token to token
};

// Of two digits each all products but that of both second ones, which is below what rounding the
// activations lost.
template <int kTiles, int kGroups, int kDigits, bool kHasRests>
[[gnu::always_inline]] inline void MultiplySlice(const SliceArgs<kDigits>& args) {
  const int64_t tile_sums = kPanelTileTokens * args.token_sums;
  const auto stride = args.token_sums * static_cast<int64_t>(sizeof(float));
  if (args.is_first) {
    ZeroSums<kTiles, kGroups>();
  } else {
    LoadSums<kTiles, kGroups>(args.sums, args.sums + 16, tile_sums, stride);
  }
  constexpr int64_t kDigitBytes = kPanelTileTokens * kPanelDigitBytes;
  const std::byte* x = args.activations;
  for (int i = 0; i < args.n_blocks; ++i, x += args.block_bytes) {
    const auto& first = args.weights[0][i];
    const auto& second = args.weights[kGroups - 1][i];
    MultiplyTiles<kTiles, kGroups>(x, args.tile_bytes, 64, first[0], second[0]);
    if constexpr (kHasRests)
      MultiplyTiles<kTiles, kGroups>(x + kDigitBytes, args.tile_bytes, 64, first[0], second[0]);
    if constexpr (kDigits == 2)
      MultiplyTiles<kTiles, kGroups>(x, args.tile_bytes, 64, first[1], second[1]);
  }
  StoreSums<kTiles, kGroups>(args.sums, args.sums + 16, tile_sums, stride);
}

// kDigits: of weights.
template <typename Layout, int kDigits, bool kHasRests>
void RunPanel(const PanelArgs& args) {
  alignas(64) Bf16Tile weights[2][kSliceBlocks][kDigits];
  const int64_t n_blocks = (args.n_cols + kPanelBlockColumns - 1) / kPanelBlockColumns;
  SliceArgs<kDigits> slice = {};
  slice.block_bytes = args.n_digits * kPanelTileTokens * kPanelDigitBytes;
  slice.tile_bytes = n_blocks * slice.block_bytes;
  slice.weights = weights;
  slice.token_sums = int64_t{16} * args.n_groups;
  _tile_loadconfig(&kTileConfig);
  for (int64_t first = 0; first < n_blocks; first += kSliceBlocks) {
    const int64_t end = first + kSliceBlocks < n_blocks ? first + kSliceBlocks : n_blocks;
    slice.n_blocks = static_cast<int>(end - first);
    slice.is_first = first == 0;
    for (int group = 0; group < args.n_groups; group += 2) {
      const bool has_two = group + 1 < args.n_groups;
      for (int i = 0; i < 1 + static_cast<int>(has_two); ++i)
        Expand<Layout>(args.weights + (group + i) * args.group_bytes, args.n_cols, first, end,
                       weights[i]);
      FenceTiles();
      for (int tile = 0; tile < args.n_tiles; tile += 2) {
        slice.activations = args.activations + tile * slice.tile_bytes + first * slice.block_bytes;
        slice.sums = args.sums + tile * kPanelTileTokens * slice.token_sums + int64_t{16} * group;
        if (tile + 1 < args.n_tiles) {
          has_two ? MultiplySlice<2, 2, kDigits, kHasRests>(slice)
                  : MultiplySlice<2, 1, kDigits, kHasRests>(slice);
        } else {
          has_two ? MultiplySlice<1, 2, kDigits, kHasRests>(slice)
                  : MultiplySlice<1, 1, kDigits, kHasRests>(slice);
        }
      }
    }
  }
  _tile_release();
  FenceTiles();
}

void RoundToken(const float* x, int64_t n_cols, int token, int n_digits, std::byte* tile) {
  RoundRow(x, n_cols, token, n_digits, tile);
}

template <typename Format>
constexpr PromptKernels::OfFormat kOfFormat = [] {
  using Layout = PackLayout<Format>;
  if constexpr (Layout::kIsQuantized) {
    return PromptKernels::OfFormat{RunPanel<Layout, 1, false>, 1};
  } else if constexpr (sizeof(typename Layout::Element) == 4) {
    return PromptKernels::OfFormat{nullptr, 0};
  } else if constexpr (std::is_same_v<typename Layout::Element, F16>) {
    return PromptKernels::OfFormat{RunPanel<Layout, 2, true>, 2};
  } else {
    return PromptKernels::OfFormat{RunPanel<Layout, 1, true>, 2};
  }
}();

template <size_t... kFormat>
consteval PromptKernels MakeKernels(std::index_sequence<kFormat...>) {
  return {.round = RoundToken, .formats = {kOfFormat<std::tuple_element_t<kFormat, Formats>>...}};
}

}  // namespace

constinit const PromptKernels kPromptKernelsAmx =
    MakeKernels(std::make_index_sequence<MatmulKernels::kFormats>());

}  // namespace forge
