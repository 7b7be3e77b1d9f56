#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/cpu/activation.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx512.h"

namespace forge {

// What tiles and panels of AVX-512 with VNNI multiply with. For files that are compiled for it and
// for nothing less: everything is always inlined, so that no other file can be linked to a copy
// from here.

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

// 32 columns of 16 rows. Codes: UnpackedCodes, or packed ones, which LoadQuad unpacks.
template <typename Codes>
struct Columns {
  const Codes* codes;
  const __m512* scale;   // kScales of the layout
  const __m512* offset;  // kOffsets
};

// sum + products of a quad's codes with the four activations at `x`.
[[gnu::always_inline]] inline __m512i AddProducts(__m512i sum, __m512i codes, const int8_t* x) {
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

// Adds the integer products of a quad of each group with the activations of each token. Tokens vary
// fastest: their products are independent, and each waits four cycles for its predecessor.
template <int kQuad, typename Codes, int kGroups, int kTokens, size_t kBytes>
[[gnu::always_inline]] inline void MultiplyQuad(const Columns<Codes> (&columns)[kGroups],
                                                const int8_t (*x)[kBytes],
                                                __m512i (&products)[kGroups][kTokens]) {
  __m512i codes[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) codes[g] = LoadQuad<kQuad>(*columns[g].codes);
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
    const int8_t* const quad = x[t] + 4 * kQuad;
    if constexpr (kGroups == 1) {
      products[0][t] = AddProducts(products[0][t], codes[0], quad);
    } else {
      int32_t values;
      __builtin_memcpy(&values, quad, sizeof(values));
      const __m512i shared = _mm512_set1_epi32(values);
#pragma GCC unroll 4
      for (int g = 0; g < kGroups; ++g)
        products[g][t] = _mm512_dpbusd_epi32(products[g][t], codes[g], shared);
    }
  }
}

template <int... kQuad>
using Quads = std::integer_sequence<int, kQuad...>;
template <typename Codes>
constexpr bool kHasNibbles = requires(const Codes& codes) {
  codes.nibbles;
};
// In the order in which they lie: with nibbles two quads are in the same bytes.
template <typename Codes>
using AllQuads = std::conditional_t<kHasNibbles<Codes>, Quads<0, 4, 1, 5, 2, 6, 3, 7>,
                                    Quads<0, 1, 2, 3, 4, 5, 6, 7>>;

template <int... kQuad, typename Codes, int kGroups, int kTokens, size_t kBytes>
[[gnu::always_inline]] inline void MultiplyQuads(Quads<kQuad...> /*quads*/,
                                                 const Columns<Codes> (&columns)[kGroups],
                                                 const int8_t (*x)[kBytes],
                                                 __m512i (&products)[kGroups][kTokens]) {
  (MultiplyQuad<kQuad>(columns, x, products), ...);
}

// Where the products of each token start; `negative_sums`: of the activations that they are with.
template <int kZero, int kGroups, int kTokens>
[[gnu::always_inline]] inline void StartProducts(const int32_t* negative_sums,
                                                 __m512i (&products)[kGroups][kTokens]) {
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
    const __m512i start = StartOfProduct<kZero>(negative_sums[t]);
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) products[g][t] = start;
  }
}

// Adds 32 columns of each group to its sums of kTokens tokens, of which the first is `token` of a
// tile. Instructions other than products count here: those that multiply share two ports.
template <typename Layout, typename Codes, int kGroups, int kTokens, int kTileSize>
[[gnu::always_inline]] inline void Accumulate(const Columns<Codes> (&columns)[kGroups],
                                              const ActivationBlock<kTileSize>& x,
                                              const SecondDigits<kTileSize>& rests, int token,
                                              __m512 (&sums)[kGroups][kTokens]) {
  constexpr int kZero = Layout::kZero;
  // For each group and token.
  const auto for_each = [](const auto& body) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) body(g, t);
    }
  };
  __m512 scaled[kGroups][kTokens];
  __m512i products[kGroups][kTokens];
  if constexpr (Layout::kScales == 1) {
    StartProducts<kZero>(x.negative_sum + token, products);
    MultiplyQuads(AllQuads<Codes>(), columns, x.codes + token, products);
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_cvtepi32_ps(products[g][t]);
    });
    if constexpr (Layout::kDigits == 2) {
      StartProducts<kZero>(rests.negative_sum + token, products);
      MultiplyQuads(AllQuads<Codes>(), columns, rests.digits + token, products);
      for_each([&](int g, int t) __attribute__((always_inline)) {
        scaled[g][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[g][t]),
                                       _mm512_set1_ps(kDigitStep), scaled[g][t]);
      });
    }
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_mul_ps(scaled[g][t], columns[g].scale[0]);
    });
  } else {
    StartProducts<kZero>(x.negative_half_sums[0] + token, products);
    MultiplyQuads(Quads<0, 1, 2, 3>(), columns, x.codes + token, products);
    for_each([&](int g, int t) __attribute__((always_inline)) {
      scaled[g][t] = _mm512_mul_ps(_mm512_cvtepi32_ps(products[g][t]), columns[g].scale[0]);
    });
    StartProducts<kZero>(x.negative_half_sums[1] + token, products);
    MultiplyQuads(Quads<4, 5, 6, 7>(), columns, x.codes + token, products);
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
                             BroadcastAsFloat(x.negative_half_sums[h][token + t]), scaled[g][t]);
    });
  }
  for_each([&](int g, int t) __attribute__((always_inline)) {
    __m512 sum = _mm512_fmadd_ps(scaled[g][t], _mm512_set1_ps(x.scale[token + t]), sums[g][t]);
    if constexpr (Layout::kOffsets == 1)
      sum = _mm512_fmadd_ps(columns[g].offset[0], _mm512_set1_ps(x.scaled_sum[token + t]), sum);
    sums[g][t] = sum;
  });
}

// Weights of floats are summed slice by slice, in a slice even and odd columns apart, which halves
// the wait on the adder.
constexpr int kFloatSliceColumns = 128;

}  // namespace forge
