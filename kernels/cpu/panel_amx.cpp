#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"
#include "kernels/cpu/panel.h"

// Compiled for AVX-512 and AMX-BF16. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// One tile of weights: 16 rows x 32 columns as TDPBF16PS takes them, two columns of all rows after
// the other.
struct alignas(64) WeightTile {
  uint16_t pairs[16][16][2];  // [column / 2][row][column % 2]
};

// Columns are multiplied slice by slice, so that the weights of two row groups, once expanded, stay
// in the first-level cache while all tokens are multiplied with them.
constexpr int kSliceBlocks = 8;
static_assert(kSliceBlocks % 8 == 0, "a slice has whole blocks of every format");

// Tile registers 0 to 3 hold sums, float32 [tokens, rows], 4 and 5 activations, 6 and 7 weights.
// GCC's intrinsics take the numbers as literals only. This is the operand of LDTILECFG.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig kConfig;

// The same with NaN in one form, whose rounding does not overflow.
[[gnu::always_inline]] inline __m512 WithPlainNan(__m512 values) {
  const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512 nan = _mm512_set1_ps(std::numeric_limits<float>::quiet_NaN());
  return _mm512_mask_mov_ps(values, is_nan, nan);
}

// The nearest bfloat16 in the upper half of each lane, ties away from zero, and what is left of the
// float below it. (The instruction that rounds to bfloat16 takes three of its kind.)
[[gnu::always_inline]] inline __m512i Round(__m512 values) {
  return _mm512_add_epi32(_mm512_castps_si512(values), _mm512_set1_epi32(0x8000));
}

// The upper halves of the lanes of both, one beside the other.
[[gnu::always_inline]] inline __m512i ToPairs(__m512i even, __m512i odd) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000));
  return OrMasked(_mm512_srli_epi32(even, 16), odd, upper);
}

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
                                                  WeightTile& tile) {
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
      rounded[i] = Round(_mm512_fmadd_ps(CodesOf<Layout>(codes[q], i), factor[h], start[h]));
    _mm512_store_si512(tile.pairs[2 * q], ToPairs(rounded[0], rounded[1]));
    _mm512_store_si512(tile.pairs[2 * q + 1], ToPairs(rounded[2], rounded[3]));
  }
}

// Fetches the kBytes of a sub-block from `ahead` on.
template <int64_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const char* ahead) {
#pragma GCC unroll 16
  for (int64_t p = 0; p < kBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
}

// Expands the blocks of 32 columns in [first, end) of a group, and fetches those of the next slice.
template <typename Layout>
void ExpandQuantized(const std::byte* group, int64_t first, int64_t end, WeightTile (*tiles)[1]) {
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

// F16 weights are the sum of two bfloat16 numbers.
[[gnu::always_inline]] inline void ExpandPair(const F16 (*columns)[16], int pair,
                                              WeightTile (&tiles)[2]) {
  __m512i first[2], second[2];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512 value = WithPlainNan(LoadHalves(columns[i]));
    first[i] = Round(value);
    const __m512i upper = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000));
    second[i] = _mm512_castps_si512(
        _mm512_sub_ps(value, _mm512_castsi512_ps(_mm512_and_si512(first[i], upper))));
  }
  _mm512_store_si512(tiles[0].pairs[pair], ToPairs(first[0], first[1]));
  _mm512_store_si512(tiles[1].pairs[pair], ToPairs(second[0], second[1]));
}
[[gnu::always_inline]] inline void ExpandPair(const Bf16 (*columns)[16], int pair,
                                              WeightTile (&tiles)[1]) {
  const auto load = [](const Bf16(&column)[16]) __attribute__((always_inline)) {
    return _mm512_slli_epi32(
        _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(column))), 16);
  };
  _mm512_store_si512(tiles[0].pairs[pair], ToPairs(load(columns[0]), load(columns[1])));
}

template <typename Layout, int kDigits>
void ExpandFloats(const std::byte* group, int64_t n_cols, int64_t first, int64_t end,
                  WeightTile (*tiles)[kDigits]) {
  using Element = typename Layout::Element;
  const auto* columns = reinterpret_cast<const Element(*)[16]>(group);
  for (int64_t i = first; i < end; ++i, ++tiles) {
    const int64_t column = i * kPanelBlockColumns;
    const auto n_pairs =
        static_cast<int>(std::min<int64_t>(kPanelBlockColumns, n_cols - column) / 2);
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
                                          int64_t end, WeightTile (*tiles)[kDigits]) {
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
  int64_t tile_bytes;   // of activations, from tile to tile
  int64_t block_bytes;  // of activations, from 32 columns to the next
  const WeightTile (*weights)[kSliceBlocks][kDigits];  // [group]
  int n_blocks;
  bool is_first;  // there are no sums yet
  float* sums;
  int64_t group_sums;  // from group to group
};

// sums += activations of one digit times weights of one digit, for a block of 32 columns.
template <int kTiles, int kGroups>
[[gnu::always_inline]] inline void MultiplyBlock(const std::byte* x, int64_t tile_bytes,
                                                 const WeightTile& first,
                                                 const WeightTile& second) {
  _tile_loadd(6, first.pairs, 64);
  _tile_loadd(4, x, 64);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kGroups == 2) {
    _tile_loadd(7, second.pairs, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (kTiles == 2) {
    _tile_loadd(5, x + tile_bytes, 64);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (kGroups == 2) _tile_dpbf16ps(3, 5, 7);
  }
}

// Of two digits each all products but that of both second ones, which is below what rounding the
// activations lost.
template <int kTiles, int kGroups, int kDigits, bool kHasRests>
[[gnu::always_inline]] inline void MultiplySlice(const SliceArgs<kDigits>& args) {
  constexpr int64_t kTileSums = kPanelTileTokens * 16;
  float* const sums[2] = {args.sums, args.sums + args.group_sums};
  if (args.is_first) {
    _tile_zero(0);
    if constexpr (kGroups == 2) _tile_zero(1);
    if constexpr (kTiles == 2) _tile_zero(2);
    if constexpr (kTiles == 2 && kGroups == 2) _tile_zero(3);
  } else {
    _tile_loadd(0, sums[0], 64);
    if constexpr (kGroups == 2) _tile_loadd(1, sums[1], 64);
    if constexpr (kTiles == 2) _tile_loadd(2, sums[0] + kTileSums, 64);
    if constexpr (kTiles == 2 && kGroups == 2) _tile_loadd(3, sums[1] + kTileSums, 64);
  }
  constexpr int64_t kDigitBytes = kPanelTileTokens * kPanelDigitBytes;
  const std::byte* x = args.activations;
  for (int i = 0; i < args.n_blocks; ++i, x += args.block_bytes) {
    const auto& first = args.weights[0][i];
    const auto& second = args.weights[kGroups - 1][i];
    MultiplyBlock<kTiles, kGroups>(x, args.tile_bytes, first[0], second[0]);
    if constexpr (kHasRests)
      MultiplyBlock<kTiles, kGroups>(x + kDigitBytes, args.tile_bytes, first[0], second[0]);
    if constexpr (kDigits == 2)
      MultiplyBlock<kTiles, kGroups>(x, args.tile_bytes, first[1], second[1]);
  }
  _tile_stored(0, sums[0], 64);
  if constexpr (kGroups == 2) _tile_stored(1, sums[1], 64);
  if constexpr (kTiles == 2) _tile_stored(2, sums[0] + kTileSums, 64);
  if constexpr (kTiles == 2 && kGroups == 2) _tile_stored(3, sums[1] + kTileSums, 64);
}

// kDigits: of weights.
template <typename Layout, int kDigits, bool kHasRests>
void RunPanel(const PanelArgs& args) {
  alignas(64) WeightTile weights[2][kSliceBlocks][kDigits];
  const int64_t n_blocks = (args.n_cols + kPanelBlockColumns - 1) / kPanelBlockColumns;
  SliceArgs<kDigits> slice = {};
  slice.block_bytes = args.n_digits * kPanelTileTokens * kPanelDigitBytes;
  slice.tile_bytes = n_blocks * slice.block_bytes;
  slice.weights = weights;
  slice.group_sums = int64_t{args.n_tiles} * kPanelTileTokens * 16;
  _tile_loadconfig(&kConfig);
  for (int64_t first = 0; first < n_blocks; first += kSliceBlocks) {
    const int64_t end = std::min(n_blocks, first + kSliceBlocks);
    slice.n_blocks = static_cast<int>(end - first);
    slice.is_first = first == 0;
    for (int group = 0; group < args.n_groups; group += 2) {
      const bool has_two = group + 1 < args.n_groups;
      for (int i = 0; i < 1 + static_cast<int>(has_two); ++i)
        Expand<Layout>(args.weights + (group + i) * args.group_bytes, args.n_cols, first, end,
                       weights[i]);
      // GCC 12 does not know that tile loads read memory: keep the stores above before them.
      asm volatile("" ::: "memory");
      for (int tile = 0; tile < args.n_tiles; tile += 2) {
        slice.activations = args.activations + tile * slice.tile_bytes + first * slice.block_bytes;
        slice.sums = args.sums + group * slice.group_sums + tile * kPanelTileTokens * 16;
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
  asm volatile("" ::: "memory");
}

void RoundToken(const float* x, int64_t n_cols, int token, int n_digits, std::byte* tile) {
  tile += token * kPanelDigitBytes;
  const auto store = [&tile](__m512 low, __m512 high) __attribute__((always_inline)) {
    const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    _mm512_store_si512(tile, both);
    tile += kPanelTileTokens * kPanelDigitBytes;
    return both;
  };
  for (int64_t i = 0; i < n_cols; i += kPanelBlockColumns) {
    const int64_t n = std::min<int64_t>(kPanelBlockColumns, n_cols - i);
    const auto mask = static_cast<uint32_t>((uint64_t{1} << n) - 1);
    const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), x + i);
    const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), x + i + 16);
    const __m512i rounded = store(low, high);
    if (n_digits == 1) continue;
    const auto widen = [](__m256i half) __attribute__((always_inline)) {
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    };
    store(_mm512_sub_ps(low, widen(_mm512_castsi512_si256(rounded))),
          _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64(rounded, 1))));
  }
}

template <typename Format>
constexpr PanelKernels::OfFormat kOfFormat = [] {
  using Layout = PackLayout<Format>;
  if constexpr (Layout::kIsQuantized) {
    return PanelKernels::OfFormat{RunPanel<Layout, 1, false>, 1};
  } else if constexpr (sizeof(typename Layout::Element) == 4) {
    return PanelKernels::OfFormat{nullptr, 0};
  } else if constexpr (std::is_same_v<typename Layout::Element, F16>) {
    return PanelKernels::OfFormat{RunPanel<Layout, 2, true>, 2};
  } else {
    return PanelKernels::OfFormat{RunPanel<Layout, 1, true>, 2};
  }
}();

template <size_t... kFormat>
consteval PanelKernels MakeKernels(std::index_sequence<kFormat...>) {
  return {.round = RoundToken, .formats = {kOfFormat<std::tuple_element_t<kFormat, Formats>>...}};
}

}  // namespace

constinit const PanelKernels kPanelKernelsAmx =
    MakeKernels(std::make_index_sequence<MatmulKernels::kFormats>());

}  // namespace forge
