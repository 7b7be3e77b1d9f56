#include <immintrin.h>

#include <algorithm>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx2.h"

// Compiled for AVX2, FMA and F16C. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.
//
// A group is worked on in two halves of eight rows, so that the sums of eight tokens stay in
// registers.

namespace forge {
namespace {

constexpr int64_t kPrefetchBytes = 2560;  // as in matmul_avx512.cpp

// Minus `zero` times the sum of one half of the activations: where its integer product starts.
template <int kZero>
[[gnu::always_inline]] inline __m256i StartOfHalf(int32_t negative_sum) {
  if constexpr (kZero == 0) {
    return _mm256_setzero_si256();
  } else {
    static_assert((kZero & (kZero - 1)) == 0);
    return _mm256_slli_epi32(_mm256_set1_epi32(negative_sum), __builtin_ctz(kZero));
  }
}

[[gnu::always_inline]] inline __m256i BroadcastQuad(const int8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof(quad));
  return _mm256_set1_epi32(quad);
}

// Adds the products of four quads of codes with 16 activations. Pairs of byte products are summed
// in 16 bits, so the steps follow from the largest code: 31 * 127 * 8, 63 * 127 * 4 and 127 * 127 *
// 2 fit. Eight-bit codes come as magnitudes, at most 128, and are multiplied with the activations
// under the signs of `values`.
template <int kBits>
[[gnu::always_inline]] inline __m256i MultiplyHalf(const __m256i* codes, const __m256i* values,
                                                   const int8_t* x, __m256i start) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i pairs[4];
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    __m256i activations = BroadcastQuad(x + 4 * q);
    if constexpr (kBits == 8) activations = _mm256_sign_epi8(activations, values[q]);
    pairs[q] = _mm256_maddubs_epi16(codes[q], activations);
  }
  if constexpr (kBits <= 6) {
    const __m256i first = _mm256_add_epi16(pairs[0], pairs[1]);
    const __m256i second = _mm256_add_epi16(pairs[2], pairs[3]);
    if constexpr (kBits <= 5) {
      const __m256i all = _mm256_add_epi16(first, second);
      return _mm256_add_epi32(start, _mm256_madd_epi16(all, ones));
    } else {
      start = _mm256_add_epi32(start, _mm256_madd_epi16(first, ones));
      return _mm256_add_epi32(start, _mm256_madd_epi16(second, ones));
    }
  } else {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) start = _mm256_add_epi32(start, _mm256_madd_epi16(pairs[q], ones));
    return start;
  }
}

// The codes of 32 columns of eight rows, for MultiplyHalf.
template <typename Layout>
struct Codes {
  static constexpr bool kAreSigned = Layout::kBits == 8;
  static constexpr int kZero = kAreSigned ? 0 : Layout::kZero;
  __m256i codes[8];
  __m256i values[8];  // signed, where kAreSigned

  [[gnu::always_inline]] void Load(const typename Layout::Block& block, int s, int rows) {
    LoadSubBlock<Layout>(block, s, rows, codes);
    if constexpr (kAreSigned) {
      const __m256i zero = _mm256_set1_epi8(static_cast<char>(Layout::kZero));
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        values[q] = _mm256_sub_epi8(codes[q], zero);
        codes[q] = _mm256_abs_epi8(values[q]);
      }
    }
  }
};

// Adds 32 columns of one token to the eight rows' sums.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void Accumulate(const Codes<Layout>& w, const __m256* scale,
                                              const __m256* offset,
                                              const ActivationBlock<kTokens>& x, int t,
                                              __m256& sum) {
  constexpr int kZero = Codes<Layout>::kZero;
  const __m256i first = MultiplyHalf<Layout::kBits>(w.codes, w.values, x.codes[t],
                                                    StartOfHalf<kZero>(x.negative_half_sums[0][t]));
  const __m256i second = MultiplyHalf<Layout::kBits>(
      w.codes + 4, w.values + 4, x.codes[t] + 16, StartOfHalf<kZero>(x.negative_half_sums[1][t]));
  __m256 product;
  if constexpr (Layout::kScales == 1) {
    product = _mm256_cvtepi32_ps(_mm256_add_epi32(first, second));
    if constexpr (Layout::kDigits == 2) {
      __m256i digits = StartOfHalf<kZero>(x.negative_digit_sum[t]);
      digits = MultiplyHalf<Layout::kBits>(w.codes, w.values, x.digits[t], digits);
      digits = MultiplyHalf<Layout::kBits>(w.codes + 4, w.values + 4, x.digits[t] + 16, digits);
      product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(digits), _mm256_set1_ps(kDigitStep), product);
    }
    product = _mm256_mul_ps(product, scale[0]);
  } else {
    product = _mm256_mul_ps(_mm256_cvtepi32_ps(first), scale[0]);
    product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(second), scale[1], product);
  }
  if constexpr (Layout::kOffsets == 2) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h)
      product = _mm256_fnmadd_ps(
          offset[h], _mm256_cvtepi32_ps(_mm256_set1_epi32(x.negative_half_sums[h][t])), product);
  }
  sum = _mm256_fmadd_ps(product, _mm256_set1_ps(x.scale[t]), sum);
  if constexpr (Layout::kOffsets == 1)
    sum = _mm256_fmadd_ps(offset[0], _mm256_set1_ps(x.scaled_sum[t]), sum);
}

template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunQuantizedRows(const TileArgs& args, int rows, bool prefetch) {
  using Block = typename Layout::Block;
  constexpr int kOffsets = std::max(1, Layout::kOffsets);
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const auto* x = reinterpret_cast<const ActivationBlock<kTokens>*>(args.activations);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes;
  __m256 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm256_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m256 scale[Layout::kScales * Layout::kSubBlocks];
    __m256 offset[kOffsets * Layout::kSubBlocks];
    LoadAllScales<Layout>(*block, rows, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++x, ahead += kSubBytes) {
      if (prefetch) {
#pragma GCC unroll 16
        for (int64_t p = 0; p < kSubBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
      }
      Codes<Layout> codes;
      codes.Load(*block, s, rows);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t)
        Accumulate<Layout, kTokens>(codes, scale + Layout::kScales * s, offset + kOffsets * s, *x,
                                    t, sums[t]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) _mm256_store_ps(args.sums + 16 * t + rows, sums[t]);
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  RunQuantizedRows<Layout, kTokens>(args, 0, args.prefetch);
  RunQuantizedRows<Layout, kTokens>(args, 8, false);  // the first half has fetched both
}

[[gnu::always_inline]] inline __m256 LoadElements(const float (&values)[16], int rows) {
  return _mm256_loadu_ps(values + rows);
}
[[gnu::always_inline]] inline __m256 LoadElements(const F16 (&values)[16], int rows) {
  return LoadHalves(values, rows);
}
[[gnu::always_inline]] inline __m256 LoadElements(const Bf16 (&values)[16], int rows) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values + rows));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunFloatRows(const TileArgs& args, int rows, bool prefetch) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const auto* x = reinterpret_cast<const float*>(args.activations);
  const int64_t stride = args.activation_stride;
  __m256 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm256_setzero_ps();
  for (int64_t k = 0; k < args.n_cols; ++k, ++block) {
    if (prefetch) _mm_prefetch(reinterpret_cast<const char*>(block) + kPrefetchBytes, _MM_HINT_T0);
    const __m256 weights = LoadElements(block->values, rows);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      sums[t] = _mm256_fmadd_ps(weights, _mm256_set1_ps(x[t * stride + k]), sums[t]);
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) _mm256_store_ps(args.sums + 16 * t + rows, sums[t]);
}

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  RunFloatRows<Layout, kTokens>(args, 0, args.prefetch);
  RunFloatRows<Layout, kTokens>(args, 8, false);
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
  QuantizeActivations(x, n_cols, token, n_tokens, has_digits, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx2 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
