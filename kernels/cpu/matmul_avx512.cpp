#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"
#include "kernels/cpu/quantize_avx2.h"

// Compiled for AVX-512 with VNNI. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// How far ahead of the block in work weights are fetched from memory. One core of a Xeon of the
// Sapphire Rapids generation, one token, Q4_0: 13.6 GB/s without, 16 with 1 to 3 KiB, 13.4 with 6;
// a plain read 20.
template <typename Layout>
constexpr int64_t kPrefetchBytes = PrefetchBytes<Layout>(2560);

// Minus kZero times a sum of activations: where its integer product starts.
template <int kZero>
[[gnu::always_inline]] inline __m512i StartOfProduct(int32_t negative_sum) {
  if constexpr (kZero == 0) {
    return _mm512_setzero_si512();
  } else {
    static_assert((kZero & (kZero - 1)) == 0);
    return _mm512_slli_epi32(_mm512_set1_epi32(negative_sum), __builtin_ctz(kZero));
  }
}

// sum + products of a quad's codes with the four activations at `x`.
[[gnu::always_inline]] inline __m512i MultiplyQuad(__m512i sum, __m512i codes, const int8_t* x) {
#if defined(__clang__)
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof(quad));
  return _mm512_dpbusd_epi32(sum, codes, _mm512_set1_epi32(quad));
#else
  // GCC 12 broadcasts with an instruction of its own: 8 % slower at eight tokens (Xeon of the
  // Sapphire Rapids generation).
  const auto& quad = *reinterpret_cast<const int8_t(*)[4]>(x);
  asm("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(quad));
  return sum;
#endif
}

// 32 columns of 16 rows.
struct Columns {
  const __m512i* codes;  // [8]
  const __m512* scale;   // kScales of the layout
  const __m512* offset;  // kOffsets
};

// Adds the integer products of quads kQuad .. kQuad + kQuads - 1 of each group with the activations
// of each token. Tokens vary fastest: their products are independent, and each waits four or five
// cycles for its predecessor.
template <int kQuad, int kQuads, int kGroups, int kTokens, size_t kBytes>
[[gnu::always_inline]] inline void MultiplyCodes(const Columns (&columns)[kGroups],
                                                 const int8_t (*x)[kBytes],
                                                 __m512i (&products)[kGroups][kTokens]) {
#pragma GCC unroll 8
  for (int q = kQuad; q < kQuad + kQuads; ++q) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      if constexpr (kGroups == 1) {
        products[0][t] = MultiplyQuad(products[0][t], columns[0].codes[q], x[t] + 4 * q);
      } else {
        int32_t quad;
        __builtin_memcpy(&quad, x[t] + 4 * q, sizeof(quad));
        const __m512i shared = _mm512_set1_epi32(quad);
#pragma GCC unroll 2
        for (int g = 0; g < kGroups; ++g)
          products[g][t] = _mm512_dpbusd_epi32(products[g][t], columns[g].codes[q], shared);
      }
    }
  }
}

// Where the products of each token start; `negative_sums`: of the activations that they are with.
template <int kZero, int kGroups, int kTokens>
[[gnu::always_inline]] inline void StartProducts(const int32_t* negative_sums,
                                                 __m512i (&products)[kGroups][kTokens]) {
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
    const __m512i start = StartOfProduct<kZero>(negative_sums[t]);
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) products[g][t] = start;
  }
}

// Adds 32 columns of each group to its sums of kTokens tokens, of which the first is kToken of a
// tile. Instructions other than products count here: those that multiply share two ports.
template <typename Layout, int kGroups, int kTokens, int kToken, int kTileSize>
[[gnu::always_inline]] inline void Accumulate(const Columns (&columns)[kGroups],
                                              const ActivationBlock<kTileSize>& x,
                                              const SecondDigits<kTileSize>& rests,
                                              __m512 (&sums)[kGroups][kTokens]) {
  constexpr int kZero = Layout::kZero;
  // For each group and token.
  const auto for_each = [](const auto& body) __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) body(g, t);
    }
  };
  __m512 scaled[kGroups][kTokens];
  __m512i products[kGroups][kTokens];
  if constexpr (Layout::kScales == 1) {
    StartProducts<kZero>(x.negative_sum + kToken, products);
    MultiplyCodes<0, 8>(columns, x.codes + kToken, products);
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_cvtepi32_ps(products[g][t]);
    });
    if constexpr (Layout::kDigits == 2) {
      StartProducts<kZero>(rests.negative_sum + kToken, products);
      MultiplyCodes<0, 8>(columns, rests.digits + kToken, products);
      for_each([&](int g, int t) __attribute__((always_inline)) {
        scaled[g][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[g][t]),
                                       _mm512_set1_ps(kDigitStep), scaled[g][t]);
      });
    }
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_mul_ps(scaled[g][t], columns[g].scale[0]);
    });
  } else {
    StartProducts<kZero>(x.negative_half_sums[0] + kToken, products);
    MultiplyCodes<0, 4>(columns, x.codes + kToken, products);
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_mul_ps(_mm512_cvtepi32_ps(products[g][t]), columns[g].scale[0]);
    });
    StartProducts<kZero>(x.negative_half_sums[1] + kToken, products);
    MultiplyCodes<4, 4>(columns, x.codes + kToken, products);
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] =
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[g][t]), columns[g].scale[1], scaled[g][t]);
    });
  }
  if constexpr (Layout::kOffsets == 2) {
    for_each([&](int g, int t) __attribute__((always_inline)) {
      for (const int h : {0, 1})
        scaled[g][t] =
            _mm512_fnmadd_ps(columns[g].offset[h],
                             BroadcastAsFloat(x.negative_half_sums[h][kToken + t]), scaled[g][t]);
    });
  }
  for_each([&](int g, int t) __attribute__((always_inline)) {
    __m512 sum = _mm512_fmadd_ps(scaled[g][t], _mm512_set1_ps(x.scale[kToken + t]), sums[g][t]);
    if constexpr (Layout::kOffsets == 1)
      sum = _mm512_fmadd_ps(columns[g].offset[0], _mm512_set1_ps(x.scaled_sum[kToken + t]), sum);
    sums[g][t] = sum;
  });
}

// Fetches the kBytes of a sub-block from `ahead` on.
template <int64_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const char* ahead) {
#pragma GCC unroll 16
  for (int64_t p = 0; p < kBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
}

// One tile, whose sums are in registers.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunTile(const TileArgs& args, int tile) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes<Layout>;
  int64_t k = 0;  // 32 columns of activations
  __m512 sums[1][kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[0][t] = _mm512_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m512 scale[Layout::kScales * Layout::kSubBlocks];
    __m512 offset[kOffsets * Layout::kSubBlocks];
    LoadAllScales<Layout>(*block, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k, ahead += kSubBytes) {
      if (args.prefetch && tile == 0) Prefetch<kSubBytes>(ahead);
      __m512i codes[8];
      LoadSubBlock<Layout>(*block, s, codes);
      const Columns columns[] = {{codes, scale + Layout::kScales * s, offset + kOffsets * s}};
      Accumulate<Layout, 1, kTokens, 0>(columns, x.Block(tile, k), x.Digits(tile, k), sums);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t)
    _mm512_store_ps(args.sums + 16 * (kTokens * tile + t), sums[0][t]);
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  for (int tile = 0; tile < args.n_tiles; ++tile) RunTile<Layout, kTokens>(args, tile);
}

// A panel's columns are multiplied slice by slice, so that the unpacked weights of a few groups
// stay in the first-level cache while all tokens are multiplied with them.
constexpr int kSliceBlocks = 8;  // of 32 columns
constexpr int kSliceGroups = 4;

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

// Where a panel's sums and the weights of one of its groups are.
struct PanelGroup {
  const char* ahead;  // the packed blocks to be fetched meanwhile, or null
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
    Accumulate<Layout, kGroups, kTokens, kToken>(columns, x.Block(tile, k + i),
                                                 x.Digits(tile, k + i), sums);
  }
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    float* const results = groups[g].sums + 16 * kToken;
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) _mm512_store_ps(results + 16 * t, sums[g][t]);
  }
}

// Slices of up to kSliceGroups groups with all tokens. Two groups share their loads of activations.
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
  alignas(64) Slice<Layout> slices[kSliceGroups];
  const int64_t n_blocks = args.n_cols / kActivationBlockColumns;
  const int64_t group_sums = int64_t{16 * kTileTokens} * args.n_tiles;
  for (int group = 0; group < args.n_groups; group += kSliceGroups) {
    const int n_groups = std::min(kSliceGroups, args.n_groups - group);
    for (int64_t k = 0; k < n_blocks; k += kSliceBlocks) {
      const int n = static_cast<int>(std::min<int64_t>(kSliceBlocks, n_blocks - k));
      // Fetched are the next slices, or the first of the groups behind these.
      const int64_t ahead =
          kSliceBytes<Layout> + (k + n < n_blocks ? 0 : (kSliceGroups - 1) * args.group_bytes);
      PanelGroup groups[kSliceGroups];
      for (int g = 0; g < n_groups; ++g) {
        const auto* blocks =
            reinterpret_cast<const Block*>(args.weights + (group + g) * args.group_bytes) +
            k / Layout::kSubBlocks;
        slices[g].Unpack(blocks, n);
        groups[g] = {reinterpret_cast<const char*>(blocks) + ahead,
                     args.sums + (group + g) * group_sums};
      }
      MultiplyTiles<Layout>(slices, n_groups, n, k, args, groups);
    }
  }
}

[[gnu::always_inline]] inline __m512 LoadElements(const float (&values)[16]) {
  return _mm512_loadu_ps(values);
}
[[gnu::always_inline]] inline __m512 LoadElements(const F16 (&values)[16]) {
  return LoadHalves(values);
}
[[gnu::always_inline]] inline __m512 LoadElements(const Bf16 (&values)[16]) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

// Weights of floats are summed slice by slice, in a slice even and odd columns apart, which halves
// the wait on the adder.
constexpr int kFloatSliceColumns = 128;

template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunFloatTile(const TileArgs& args, const float* x, bool prefetch,
                                                float* results) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const int64_t stride = args.activation_stride;
  __m512 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_setzero_ps();

  for (int64_t k = 0; k < args.n_cols;) {
    const int64_t end = std::min(args.n_cols, k + kFloatSliceColumns);
    __m512 even[kTokens];
    __m512 odd[kTokens];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) even[t] = odd[t] = _mm512_setzero_ps();
    for (; k + 2 <= end; k += 2, block += 2) {
      if (prefetch) {
        const auto* ahead = reinterpret_cast<const char*>(block) + kPrefetchBytes<Layout>;
        _mm_prefetch(ahead, _MM_HINT_T0);
        if constexpr (sizeof(*block) == 64) _mm_prefetch(ahead + 64, _MM_HINT_T0);
      }
      const __m512 first = LoadElements(block[0].values);
      const __m512 second = LoadElements(block[1].values);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        even[t] = _mm512_fmadd_ps(first, _mm512_set1_ps(x[t * stride + k]), even[t]);
        odd[t] = _mm512_fmadd_ps(second, _mm512_set1_ps(x[t * stride + k + 1]), odd[t]);
      }
    }
    if (k < end) {
      const __m512 last = LoadElements(block[0].values);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t)
        even[t] = _mm512_fmadd_ps(last, _mm512_set1_ps(x[t * stride + k]), even[t]);
      ++k;
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      sums[t] = _mm512_add_ps(sums[t], _mm512_add_ps(even[t], odd[t]));
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) _mm512_store_ps(results + 16 * t, sums[t]);
}

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  const auto* x = reinterpret_cast<const float*>(args.activations);
  for (int tile = 0; tile < args.n_tiles; ++tile)
    RunFloatTile<Layout, kTokens>(args, x + tile * kTokens * args.activation_stride,
                                  args.prefetch && tile == 0, args.sums + 16 * kTokens * tile);
}

// Two groups share their loads of activations; more tokens than these at once would not fit the
// registers.
constexpr int kFloatGroups = 2;
constexpr int kFloatTokens = 4;

using FloatSlice = float[kFloatSliceColumns][16];

template <typename Layout>
[[gnu::always_inline]] inline void UnpackFloats(const typename Layout::Block* block, int n_cols,
                                                FloatSlice& slice) {
  for (int i = 0; i < n_cols; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(block + i + kFloatSliceColumns), _MM_HINT_T0);
    _mm512_store_ps(slice[i], LoadElements(block[i].values));
  }
}

// Adds the products of kGroups slices of n_cols columns with kFloatTokens tokens, whose first
// column is at `x`, to their sums at `results`.
template <int kGroups>
[[gnu::always_inline]] inline void MultiplyFloatSlices(const FloatSlice* slices, int n_cols,
                                                       const float* x, int64_t stride,
                                                       bool is_first, float* const* results) {
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
      const __m512 value = _mm512_set1_ps(x[t * stride + k]);
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g)
        sums[parity][g][t] = _mm512_fmadd_ps(weights[g], value, sums[parity][g][t]);
    }
  };
  int k = 0;
  for (; k + 2 <= n_cols; k += 2) {
    add(k, 0);
    add(k + 1, 1);
  }
  if (k < n_cols) add(k, 0);
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
    for (int t = 0; t < kFloatTokens; ++t) {
      float* const sum = results[g] + 16 * t;
      const __m512 before = is_first ? _mm512_setzero_ps() : _mm512_load_ps(sum);
      _mm512_store_ps(sum, _mm512_add_ps(before, _mm512_add_ps(sums[0][g][t], sums[1][g][t])));
    }
  }
}

template <typename Layout, int kGroups>
[[gnu::always_inline]] inline void RunFloatGroups(const PanelArgs& args, int group) {
  alignas(64) FloatSlice slices[kGroups];
  const int n_tokens = args.n_tiles * kTileTokens;
  const auto* const x = reinterpret_cast<const float*>(args.activations);
  for (int64_t k = 0; k < args.n_cols; k += kFloatSliceColumns) {
    const int n = static_cast<int>(std::min<int64_t>(kFloatSliceColumns, args.n_cols - k));
    for (int g = 0; g < kGroups; ++g) {
      const std::byte* weights = args.weights + (group + g) * args.group_bytes;
      UnpackFloats<Layout>(reinterpret_cast<const typename Layout::Block*>(weights) + k, n,
                           slices[g]);
    }
    for (int token = 0; token < n_tokens; token += kFloatTokens) {
      float* results[kGroups];
      for (int g = 0; g < kGroups; ++g)
        results[g] = args.sums + int64_t{16} * ((group + g) * n_tokens + token);
      MultiplyFloatSlices<kGroups>(slices, n, x + token * args.n_cols + k, args.n_cols, k == 0,
                                   results);
    }
  }
}

template <typename Layout>
void RunFloatPanel(const PanelArgs& args) {
  static_assert(kFloatGroups == 2);
  int group = 0;
  for (; group + 2 <= args.n_groups; group += 2) RunFloatGroups<Layout, 2>(args, group);
  if (group < args.n_groups) RunFloatGroups<Layout, 1>(args, group);
}

template <typename Format>
struct Kernels {
  using Layout = PackLayout<Format>;
  template <int kTokens>
  static void Run(const TileArgs& args) {
    if constexpr (Layout::kIsQuantized) {
      RunQuantized<Layout, kTokens>(args);
    } else {
      RunFloat<Layout, kTokens>(args);
    }
  }
  static void RunPanel(const PanelArgs& args) {
    if constexpr (Layout::kIsQuantized) {
      RunQuantizedPanel<Layout>(args);
    } else {
      RunFloatPanel<Layout>(args);
    }
  }
};

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
              std::byte* tile) {
  QuantizeActivationsAvx2(x, n_cols, token, n_tokens, has_digits, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx512 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
