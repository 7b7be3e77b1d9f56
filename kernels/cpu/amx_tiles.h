#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/base/half.h"
#include "kernels/cpu/panel.h"

namespace forge {

// Products of bfloat16 in the tiles of AMX, for panel.h and attention_panel.h. For files that are
// compiled for AVX512-BF16 and AMX-BF16 and for nothing less: everything is always inlined, so that
// no other file can be linked to a copy from here.
//
// Tile registers 0 to 3 hold sums, float32 [16 tokens, 16 rows]: of the first tokens with the first
// and with the second rows, then of the second tokens. 4 and 5 hold tokens, 6 and 7 rows. GCC's
// intrinsics take the numbers as literals only.

// 16 rows x 32 columns as TDPBF16PS takes them: two columns of all rows, then the next two.
struct alignas(64) Bf16Tile {
  uint16_t pairs[16][16][2];  // [column / 2][row][column % 2]
};

// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
inline constexpr TileConfig kTileConfig;

// The same with NaN in one form, whose rounding does not overflow.
[[gnu::always_inline]] inline __m512 WithPlainNan(__m512 values) {
  const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512 nan = _mm512_set1_ps(__builtin_nanf(""));
  return _mm512_mask_mov_ps(values, is_nan, nan);
}

// The nearest bfloat16 in the upper half of each lane, ties away from zero, and in the lower half
// what does not count. (The instruction that rounds to bfloat16 takes three of its kind.)
[[gnu::always_inline]] inline __m512i RoundLanes(__m512 values) {
  return _mm512_add_epi32(_mm512_castps_si512(values), _mm512_set1_epi32(0x8000));
}

[[gnu::always_inline]] inline __m512i UpperHalves() {
  return _mm512_set1_epi32(static_cast<int32_t>(0xffff0000));
}

// The upper halves of the lanes of both, one beside the other.
[[gnu::always_inline]] inline __m512i ToPairs(__m512i even, __m512i odd) {
  return _mm512_ternarylogic_epi32(_mm512_srli_epi32(even, 16), odd, UpperHalves(), 0xf8);
}

// Stores two columns of 16 rows, rounded into the first tile, and into the second what that left
// over.
template <int kDigits>
[[gnu::always_inline]] inline void StorePair(__m512 even, __m512 odd, int pair,
                                             Bf16Tile (&tiles)[kDigits]) {
  const __m512 values[2] = {WithPlainNan(even), WithPlainNan(odd)};
  const __m512i first[2] = {RoundLanes(values[0]), RoundLanes(values[1])};
  _mm512_store_si512(tiles[0].pairs[pair], ToPairs(first[0], first[1]));
  if constexpr (kDigits == 2) {
    __m512i second[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const __m512 rounded = _mm512_castsi512_ps(_mm512_and_si512(first[i], UpperHalves()));
      second[i] = RoundLanes(WithPlainNan(_mm512_sub_ps(values[i], rounded)));
    }
    _mm512_store_si512(tiles[1].pairs[pair], ToPairs(second[0], second[1]));
  }
}

[[gnu::always_inline]] inline __m512 WidenBf16s(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

// Rounds two vectors to 32 bfloat16 at `first`, and what that left over at `second`, unless that is
// null.
[[gnu::always_inline]] inline void StoreRounded(__m512 low, __m512 high, void* first,
                                                void* second) {
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
  _mm512_store_si512(first, both);
  if (second == nullptr) return;
  const __m512 low_rest = _mm512_sub_ps(low, WidenBf16s(_mm512_castsi512_si256(both)));
  const __m512 high_rest = _mm512_sub_ps(high, WidenBf16s(_mm512_extracti64x4_epi64(both, 1)));
  _mm512_store_si512(second, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high_rest, low_rest)));
}

// Rounds a row of n values into slot `row` of a tile as panel.h has it.
[[gnu::always_inline]] inline void RoundRow(const float* x, int64_t n, int row, int n_digits,
                                            std::byte* tile) {
  constexpr int64_t kDigitBytes = kPanelTileTokens * kPanelDigitBytes;
  tile += row * kPanelDigitBytes;
  for (int64_t i = 0; i < n; i += kPanelBlockColumns, tile += n_digits * kDigitBytes) {
    const int64_t n_left = n - i < kPanelBlockColumns ? n - i : kPanelBlockColumns;
    const auto mask = static_cast<uint32_t>((uint64_t{1} << n_left) - 1);
    StoreRounded(_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), x + i),
                 _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), x + i + 16), tile,
                 n_digits == 2 ? tile + kDigitBytes : nullptr);
  }
}

// --- Up to two tiles of tokens times up to two tiles of rows

template <int kTokens, int kRows>
[[gnu::always_inline]] inline void ZeroSums() {
  _tile_zero(0);
  if constexpr (kRows == 2) _tile_zero(1);
  if constexpr (kTokens == 2) _tile_zero(2);
  if constexpr (kTokens == 2 && kRows == 2) _tile_zero(3);
}

// `first` and `second`: those of the first tokens with the first and the second rows, `stride`
// bytes from token to token; the second tokens' begin `next` floats later.
template <int kTokens, int kRows>
[[gnu::always_inline]] inline void LoadSums(const float* first, const float* second, int64_t next,
                                            int64_t stride) {
  _tile_loadd(0, first, stride);
  if constexpr (kRows == 2) _tile_loadd(1, second, stride);
  if constexpr (kTokens == 2) _tile_loadd(2, first + next, stride);
  if constexpr (kTokens == 2 && kRows == 2) _tile_loadd(3, second + next, stride);
}

template <int kTokens, int kRows>
[[gnu::always_inline]] inline void StoreSums(float* first, float* second, int64_t next,
                                             int64_t stride) {
  _tile_stored(0, first, stride);
  if constexpr (kRows == 2) _tile_stored(1, second, stride);
  if constexpr (kTokens == 2) _tile_stored(2, first + next, stride);
  if constexpr (kTokens == 2 && kRows == 2) _tile_stored(3, second + next, stride);
}

// sums += tokens times rows, over 32 columns. `stride`: bytes from token to token; the second 16
// begin `next` bytes after the first.
template <int kTokens, int kRows>
[[gnu::always_inline]] inline void MultiplyTiles(const std::byte* tokens, int64_t next,
                                                 int64_t stride, const Bf16Tile& first,
                                                 const Bf16Tile& second) {
  _tile_loadd(6, first.pairs, 64);
  _tile_loadd(4, tokens, stride);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kRows == 2) {
    _tile_loadd(7, second.pairs, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (kTokens == 2) {
    _tile_loadd(5, tokens + next, stride);
    _tile_dpbf16ps(2, 5, 6);
    if constexpr (kRows == 2) _tile_dpbf16ps(3, 5, 7);
  }
}

// GCC 12 does not know that tile loads read memory and tile stores write it: keeps the accesses
// before this point before those behind it.
[[gnu::always_inline]] inline void FenceTiles() { asm volatile("" ::: "memory"); }

}  // namespace forge
