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

// Integer products of quads kFirst .. kFirst + kQuads - 1 with the activations of each token.
// Tokens vary fastest: their products are independent, and each waits five cycles for its
// predecessor.
template <int kFirst, int kQuads, int kTokens, size_t kBytes>
[[gnu::always_inline]] inline void MultiplyCodes(const __m512i (&codes)[8],
                                                 const int8_t (&x)[kTokens][kBytes],
                                                 __m512i (&products)[kTokens]) {
#pragma GCC unroll 8
  for (int q = kFirst; q < kFirst + kQuads; ++q) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      products[t] = MultiplyQuad(products[t], codes[q], x[t] + 4 * q);
  }
}

// Adds 32 columns to the 16 rows' sums of each token. Instructions other than products count here:
// 512-bit ones share two ports.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void Accumulate(const __m512i (&codes)[8], const __m512* scale,
                                              const __m512* offset,
                                              const ActivationBlock<kTokens>& x,
                                              const SecondDigits<kTokens>& rests,
                                              __m512 (&sums)[kTokens]) {
  constexpr int kZero = Layout::kZero;
  __m512 scaled[kTokens];
  __m512i products[kTokens];
  if constexpr (Layout::kScales == 1) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) products[t] = StartOfProduct<kZero>(x.negative_sum[t]);
    MultiplyCodes<0, 8>(codes, x.codes, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) scaled[t] = _mm512_cvtepi32_ps(products[t]);
    if constexpr (Layout::kDigits == 2) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) products[t] = StartOfProduct<kZero>(rests.negative_sum[t]);
      MultiplyCodes<0, 8>(codes, rests.digits, products);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t)
        scaled[t] =
            _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[t]), _mm512_set1_ps(kDigitStep), scaled[t]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) scaled[t] = _mm512_mul_ps(scaled[t], scale[0]);
  } else {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      products[t] = StartOfProduct<kZero>(x.negative_half_sums[0][t]);
    MultiplyCodes<0, 4>(codes, x.codes, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      scaled[t] = _mm512_mul_ps(_mm512_cvtepi32_ps(products[t]), scale[0]);
      products[t] = StartOfProduct<kZero>(x.negative_half_sums[1][t]);
    }
    MultiplyCodes<4, 4>(codes, x.codes, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      scaled[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[t]), scale[1], scaled[t]);
  }
  if constexpr (Layout::kOffsets == 2) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      scaled[t] =
          _mm512_fnmadd_ps(offset[0], BroadcastAsFloat(x.negative_half_sums[0][t]), scaled[t]);
      scaled[t] =
          _mm512_fnmadd_ps(offset[1], BroadcastAsFloat(x.negative_half_sums[1][t]), scaled[t]);
    }
  }
  // Each sum is written once and the offset read once: for all that the compiler knows, the sums
  // of several tiles overlap what is read here.
  const __m512 only_offset = Layout::kOffsets == 1 ? offset[0] : _mm512_setzero_ps();
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
    __m512 sum = _mm512_fmadd_ps(scaled[t], _mm512_set1_ps(x.scale[t]), sums[t]);
    if constexpr (Layout::kOffsets == 1)
      sum = _mm512_fmadd_ps(only_offset, _mm512_set1_ps(x.scaled_sum[t]), sum);
    sums[t] = sum;
  }
}

// Fetches the kBytes of a sub-block from `ahead` on.
template <int64_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const char* ahead) {
#pragma GCC unroll 16
  for (int64_t p = 0; p < kBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
}

// One tile, whose sums are in registers.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunTile(const TileArgs& args) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes<Layout>;
  int64_t k = 0;  // 32 columns of activations
  __m512 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m512 scale[Layout::kScales * Layout::kSubBlocks];
    __m512 offset[kOffsets * Layout::kSubBlocks];
    LoadAllScales<Layout>(*block, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k, ahead += kSubBytes) {
      if (args.prefetch) Prefetch<kSubBytes>(ahead);
      __m512i codes[8];
      LoadSubBlock<Layout>(*block, s, codes);
      Accumulate<Layout, kTokens>(codes, scale + Layout::kScales * s, offset + kOffsets * s,
                                  x.Block(0, k), x.Digits(0, k), sums);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) _mm512_store_ps(args.sums + 16 * t, sums[t]);
}

// All tiles side by side, so that codes and scales are unpacked once for all of them.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunTilesTogether(const TileArgs& args) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes<Layout>;
  int64_t k = 0;
  auto* const sums = reinterpret_cast<__m512(*)[kTokens]>(args.sums);  // [tile][token]
  std::fill_n(args.sums, 16 * kTokens * args.n_tiles, 0.0f);

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m512 scale[Layout::kScales * Layout::kSubBlocks];
    __m512 offset[kOffsets * Layout::kSubBlocks];
    LoadAllScales<Layout>(*block, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k, ahead += kSubBytes) {
      if (args.prefetch) Prefetch<kSubBytes>(ahead);
      __m512i codes[8];
      LoadSubBlock<Layout>(*block, s, codes);
#pragma GCC unroll 1
      for (int tile = 0; tile < args.n_tiles; ++tile)
        Accumulate<Layout, kTokens>(codes, scale + Layout::kScales * s, offset + kOffsets * s,
                                    x.Block(tile, k), x.Digits(tile, k), sums[tile]);
    }
  }
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  if constexpr (kTokens == kTileTokens) {
    if (args.n_tiles > 1) return RunTilesTogether<Layout, kTokens>(args);
  }
  RunTile<Layout, kTokens>(args);
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

// Even and odd columns are summed apart, which halves the wait on the adder.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunFloatTile(const TileArgs& args, const float* x, bool prefetch,
                                                float* results) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const int64_t stride = args.activation_stride;
  __m512 even[kTokens];
  __m512 odd[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) even[t] = odd[t] = _mm512_setzero_ps();

  int64_t k = 0;
  for (; k + 2 <= args.n_cols; k += 2, block += 2) {
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
  if (k < args.n_cols) {
    const __m512 last = LoadElements(block[0].values);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      even[t] = _mm512_fmadd_ps(last, _mm512_set1_ps(x[t * stride + k]), even[t]);
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t)
    _mm512_store_ps(results + 16 * t, _mm512_add_ps(even[t], odd[t]));
}

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  const auto* x = reinterpret_cast<const float*>(args.activations);
  for (int tile = 0; tile < args.n_tiles; ++tile)
    RunFloatTile<Layout, kTokens>(args, x + tile * kTokens * args.activation_stride,
                                  args.prefetch && tile == 0, args.sums + 16 * kTokens * tile);
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
};

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
              std::byte* tile) {
  QuantizeActivationsAvx2(x, n_cols, token, n_tokens, has_digits, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx512 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
