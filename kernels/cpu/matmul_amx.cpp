#include <immintrin.h>

#include <algorithm>
#include <utility>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"

// Compiled for AVX-512 and AMX-INT8. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.
//
// One tile instruction multiplies 16 tokens with 16 rows over 32 columns, where AVX-512 needs 128.
// The integers are the same, and so is the order of the float32 operations on them: results equal
// those of matmul_avx512.cpp to the bit.

namespace forge {
namespace {

template <typename Layout>
constexpr int64_t kPrefetchBytes = PrefetchBytes<Layout>(2560);  // as in matmul_avx512.cpp
constexpr int kTokens = kWideTileTokens;

// Tile registers 0 and 1 hold products, int32 [tokens, rows]; 2 activations; 3 weights. GCC's
// intrinsics take the numbers as literals only.
constexpr int kActivations = 2;
constexpr int kWeights = 3;

// The operand of LDTILECFG.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// For products over `n_cols` columns, 32 or 16.
constexpr TileConfig MakeConfig(int n_cols) {
  TileConfig config;
  for (int products = 0; products < 2; ++products) {
    config.row_bytes[products] = 64;
    config.rows[products] = kTokens;
  }
  config.row_bytes[kActivations] = static_cast<uint16_t>(n_cols);
  config.rows[kActivations] = kTokens;
  config.row_bytes[kWeights] = 64;  // a quad of 16 rows
  config.rows[kWeights] = static_cast<uint8_t>(n_cols / 4);
  return config;
}

// Writes the signed weights of 16 rows x 32 columns, one quad after the other.
template <typename Layout>
[[gnu::always_inline]] inline void UnpackWeights(const typename Layout::Block& block, int64_t s,
                                                 int8_t* weights) {
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(Layout::kZero));
  __m512i codes[8];
  LoadSubBlock<Layout>(block, s, codes);
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) _mm512_store_si512(weights + 64 * q, _mm512_sub_epi8(codes[q], zero));
}

// Adds one block of 32 columns, whose integer products are at `products`, to the tokens' sums.
template <typename Layout>
[[gnu::always_inline]] inline void AddProducts(const int32_t (*products)[kTokens][16],
                                               const __m512* scale, const __m512* offset,
                                               const ActivationBlock<kTokens>& x,
                                               __m512 (&sums)[kTokens]) {
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) {
    __m512 scaled = _mm512_cvtepi32_ps(_mm512_load_si512(products[0][t]));
    if constexpr (Layout::kDigits == 2)
      scaled = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(products[1][t])),
                               _mm512_set1_ps(kDigitStep), scaled);
    scaled = _mm512_mul_ps(scaled, scale[0]);
    if constexpr (Layout::kScales == 2)
      scaled =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(products[1][t])), scale[1], scaled);
    sums[t] = _mm512_fmadd_ps(scaled, _mm512_set1_ps(x.scale[t]), sums[t]);
    if constexpr (Layout::kOffsets == 1)
      sums[t] = _mm512_fmadd_ps(offset[0], _mm512_set1_ps(x.scaled_sum[t]), sums[t]);
  }
}

// Integer products of 32 columns, with each digit of the activations; or of each 16 columns where
// these have a scale of their own.
template <typename Layout>
[[gnu::always_inline]] inline void Multiply(const int8_t* weights,
                                            const ActivationBlock<kTokens>& x,
                                            const SecondDigits<kTokens>& rests,
                                            int32_t (*products)[kTokens][16]) {
  // GCC 12 does not know that tile loads read memory: keep the stores above before them.
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_loadd(2, x.codes[0], sizeof(x.codes[0]));
  _tile_loadd(3, weights, 64);
  _tile_dpbssd(0, 2, 3);
  _tile_stored(0, products[0], 64);
  if constexpr (Layout::kDigits == 2) {
    _tile_zero(1);
    _tile_loadd(2, rests.digits[0], sizeof(rests.digits[0]));
    _tile_dpbssd(1, 2, 3);
    _tile_stored(1, products[1], 64);
  }
  if constexpr (Layout::kScales == 2) {
    _tile_zero(1);
    _tile_loadd(2, x.codes[0] + 16, sizeof(x.codes[0]));
    _tile_loadd(3, weights + 4 * 64, 64);
    _tile_dpbssd(1, 2, 3);
    _tile_stored(1, products[1], 64);
  }
}

// Three stages follow each other at a distance of kLag sub-blocks: tile loads wait until the stores
// they read have left the store buffer, and so do vector loads of what a tile store wrote.
constexpr int64_t kLag = 2;
constexpr int kRing = 4;        // sub-blocks whose weights and products are kept, > kLag
constexpr int kScaleRing = 16;  // sub-blocks whose scales are kept: two blocks of eight

template <typename Layout>
void RunQuantized(const TileArgs& args) {
  using Block = typename Layout::Block;
  constexpr int kScales = Layout::kScales;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  static constexpr TileConfig kConfig = MakeConfig(32 / kScales);
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes<Layout>;
  const int64_t n = args.n_cols / 32;
  alignas(64) int8_t weights[kRing][8 * 64];
  constexpr int kProducts = std::max(kScales, Layout::kDigits);
  alignas(64) int32_t products[kRing][kProducts][kTokens][16];
  __m512 scale[kScaleRing][kScales];
  __m512 offset[kScaleRing][kOffsets];
  __m512 sums[kTokens];
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_setzero_ps();

  _tile_loadconfig(&kConfig);
  for (int64_t i = 0; i < n + 2 * kLag; ++i, ahead += kSubBytes) {
    if (i < n) {
      const Block& source = block[i / Layout::kSubBlocks];
      const int64_t s = i % Layout::kSubBlocks;
      if (s == 0) LoadAllScales<Layout>(source, scale[i % kScaleRing], offset[i % kScaleRing]);
      if (args.prefetch) {
#pragma GCC unroll 16
        for (int64_t p = 0; p < kSubBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
      }
      UnpackWeights<Layout>(source, s, weights[i % kRing]);
    }
    if (const int64_t m = i - kLag; m >= 0 && m < n)
      Multiply<Layout>(weights[m % kRing], x.Block(0, m), x.Digits(0, m), products[m % kRing]);
    if (const int64_t a = i - 2 * kLag; a >= 0)
      AddProducts<Layout>(products[a % kRing], scale[a % kScaleRing], offset[a % kScaleRing],
                          x.Block(0, a), sums);
  }
  _tile_release();
#pragma GCC unroll 16
  for (int t = 0; t < kTokens; ++t) _mm512_store_ps(args.sums + 16 * t, sums[t]);
}

// Q2_K has scales and offsets of each 16 columns: half as much for a tile instruction to do, and
// twice as much behind it. AVX-512 takes two thirds of the time (docs/cpu-matmul.md).
template <typename Layout>
constexpr bool IsWorthTiles() {
  if constexpr (Layout::kIsQuantized) return Layout::kOffsets <= 1;
  return false;
}

template <size_t... kFormat>
consteval WideMatmulKernels MakeTable(std::index_sequence<kFormat...>) {
  WideMatmulKernels table = {};
  const auto fill = [&table]<typename Format>(size_t index, Format*) {
    if constexpr (IsWorthTiles<PackLayout<Format>>())
      table.tiles[index] = RunQuantized<PackLayout<Format>>;
  };
  (fill(kFormat, static_cast<std::tuple_element_t<kFormat, Formats>*>(nullptr)), ...);
  return table;
}

}  // namespace

constinit const WideMatmulKernels kWideMatmulKernelsAmx =
    MakeTable(std::make_index_sequence<MatmulKernels::kFormats>());

}  // namespace forge
