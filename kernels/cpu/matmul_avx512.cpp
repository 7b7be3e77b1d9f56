#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/accumulate_avx512.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"
#include "kernels/cpu/quantize_avx2.h"
#include "kernels/cpu/quantize_avx512.h"

// Compiled for AVX-512 with VNNI. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// How far ahead of the block in work weights are fetched from memory. One core of a Xeon of the
// Sapphire Rapids generation, one token, Q4_0: 13.6 GB/s without, 16 with 1 to 3 KiB, 13.4 with 6;
// a plain read 20.
template <typename Layout>
constexpr int64_t kPrefetchBytes = PrefetchBytes<Layout>(2560);

// Side by side are groups of formats with small blocks: of larger ones scales are read ahead of the
// codes, in two places too, and two groups of Q6_K were read slower. With more tokens floats took a
// fifth longer, and second digits up to a tenth.
template <typename Layout>
constexpr int kMaxSideBySide = Layout::kColumns > 32   ? 0
                               : !Layout::kIsQuantized ? 4
                               : Layout::kDigits == 2  ? 2
                                                       : kTileTokens;

// One tile of kGroups groups, whose sums are in registers.
template <typename Layout, int kTokens, int kGroups>
[[gnu::always_inline]] inline void RunTile(const TileArgs& args, int tile) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const std::byte* weights = args.weights;
  int64_t k = 0;  // 32 columns of activations
  __m512 sums[kGroups][kTokens];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) sums[g][t] = _mm512_setzero_ps();
  }

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns) {
    __m512 scales[kGroups][Layout::kScales * Layout::kSubBlocks];
    __m512 offsets[kGroups][kOffsets * Layout::kSubBlocks];
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g)
      LoadAllScales<Layout>(*reinterpret_cast<const Block*>(weights + g * args.group_distance),
                            scales[g], offsets[g]);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k) {
      UnpackedCodes codes[kGroups];
      Columns<UnpackedCodes> columns[kGroups];
#pragma GCC unroll 2
      for (int g = 0; g < kGroups; ++g) {
        const auto* block = weights + g * args.group_distance;
        if (args.prefetch && tile == 0)
          Prefetch<kSubBytes>(reinterpret_cast<const char*>(block) + s * kSubBytes +
                              kPrefetchBytes<Layout>);
        LoadSubBlock<Layout>(*reinterpret_cast<const Block*>(block), s, codes[g].quads);
        columns[g] = {&codes[g], scales[g] + Layout::kScales * s, offsets[g] + kOffsets * s};
      }
      Accumulate<Layout>(columns, x.Block(tile, k), x.Digits(tile, k), 0, sums);
    }
    weights += sizeof(Block);
  }
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      _mm512_store_ps(args.sums + 16 * (kTokens * (tile + g) + t), sums[g][t]);
  }
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  if constexpr (kTokens <= kMaxSideBySide<Layout>) {
    if (args.group_distance != 0) return RunTile<Layout, kTokens, kGroupsSideBySide>(args, 0);
  }
  for (int tile = 0; tile < args.n_tiles; ++tile) RunTile<Layout, kTokens, 1>(args, tile);
}

// Adds the columns from `k` to `end` of kGroups groups to their sums.
template <typename Layout, int kTokens, int kGroups>
[[gnu::always_inline]] inline void AddSlice(const TileArgs& args, const float* x, bool prefetch,
                                            int64_t k, int64_t end,
                                            __m512 (&sums)[kGroups][kTokens]) {
  using Block = typename Layout::Block;
  const int64_t stride = args.activation_stride;
  const Block* blocks[kGroups];
  __m512 even[kGroups][kTokens];
  __m512 odd[kGroups][kTokens];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    blocks[g] = reinterpret_cast<const Block*>(args.weights + g * args.group_distance);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) even[g][t] = odd[g][t] = _mm512_setzero_ps();
  }
  for (; k + 2 <= end; k += 2) {
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
      const Block* const block = blocks[g] + k;
      if (prefetch) {
        const auto* ahead = reinterpret_cast<const char*>(block) + kPrefetchBytes<Layout>;
        _mm_prefetch(ahead, _MM_HINT_T0);
        if constexpr (sizeof(*block) == 64) _mm_prefetch(ahead + 64, _MM_HINT_T0);
      }
      const __m512 first = LoadElements(block[0].values);
      const __m512 second = LoadElements(block[1].values);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        even[g][t] = _mm512_fmadd_ps(first, _mm512_set1_ps(x[t * stride + k]), even[g][t]);
        odd[g][t] = _mm512_fmadd_ps(second, _mm512_set1_ps(x[t * stride + k + 1]), odd[g][t]);
      }
    }
  }
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    const __m512 last = k < end ? LoadElements(blocks[g][k].values) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      if (k < end)
        even[g][t] = _mm512_fmadd_ps(last, _mm512_set1_ps(x[t * stride + k]), even[g][t]);
      sums[g][t] = _mm512_add_ps(sums[g][t], _mm512_add_ps(even[g][t], odd[g][t]));
    }
  }
}

template <typename Layout, int kTokens, int kGroups>
[[gnu::always_inline]] inline void RunFloatTile(const TileArgs& args, const float* x, bool prefetch,
                                                float* results) {
  __m512 sums[kGroups][kTokens];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) sums[g][t] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < args.n_cols; k += kFloatSliceColumns)
    AddSlice<Layout>(args, x, prefetch, k, std::min(args.n_cols, k + kFloatSliceColumns), sums);
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) _mm512_store_ps(results + 16 * (kTokens * g + t), sums[g][t]);
  }
}

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  const auto* x = reinterpret_cast<const float*>(args.activations);
  if constexpr (kTokens <= kMaxSideBySide<Layout>) {
    if (args.group_distance != 0)
      return RunFloatTile<Layout, kTokens, kGroupsSideBySide>(args, x, args.prefetch, args.sums);
  }
  for (int tile = 0; tile < args.n_tiles; ++tile)
    RunFloatTile<Layout, kTokens, 1>(args, x + tile * kTokens * args.activation_stride,
                                     args.prefetch && tile == 0, args.sums + 16 * kTokens * tile);
}

template <typename Format>
struct Kernels {
  using Layout = PackLayout<Format>;
  static constexpr int kSideBySideTokens = kMaxSideBySide<Layout>;
  template <int kTokens>
  static void Run(const TileArgs& args) {
    if constexpr (Layout::kIsQuantized) {
      RunQuantized<Layout, kTokens>(args);
    } else {
      RunFloat<Layout, kTokens>(args);
    }
  }
};

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
              std::byte* tile) {
  QuantizeActivationsAvx2(x, n_cols, token, n_tokens, has_digits, tile);
}

void QuantizeWholeTile(const float* x, int64_t n_cols, std::byte* tile) {
  QuantizeTile(x, n_cols, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx512 = [] {
  MatmulKernels kernels = MakeMatmulKernels<Kernels>(Quantize);
  kernels.quantize_tile = QuantizeWholeTile;
  kernels.panels = &kPanelsAvx512;
  return kernels;
}();

}  // namespace forge
