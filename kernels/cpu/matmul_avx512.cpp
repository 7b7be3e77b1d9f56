#include <immintrin.h>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"

// Compiled for AVX-512 with VNNI. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.

namespace forge {
namespace {

// How far ahead of the block in work weights are fetched from memory. The hardware's own prefetch
// stops at pages and does not keep enough lines under way: see docs/cpu-matmul.md.
constexpr int64_t kPrefetchBytes = 6144;

[[gnu::always_inline]] inline __m512i Load(const uint8_t* p) { return _mm512_loadu_si512(p); }

[[gnu::always_inline]] inline __m512 LoadHalves(const F16* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// Quads 0-7 of 16 rows as bytes; `nibbles` holds two quads in each vector.
[[gnu::always_inline]] inline void LoadNibbles(const uint8_t (&nibbles)[4][64], __m512i* codes) {
  const __m512i mask = _mm512_set1_epi8(15);
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m512i both = Load(nibbles[q]);
    codes[q] = _mm512_and_si512(both, mask);
    codes[q + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
  }
}

// low | (high & mask)
[[gnu::always_inline]] inline __m512i OrMasked(__m512i low, __m512i high, __m512i mask) {
  return _mm512_ternarylogic_epi32(low, high, mask, 0xf8);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<4>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<5>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
  const __m512i bits = Load(packed.fifth_bits);
  const __m512i mask = _mm512_set1_epi8(16);
  codes[0] = OrMasked(codes[0], _mm512_slli_epi16(bits, 4), mask);
  codes[1] = OrMasked(codes[1], _mm512_slli_epi16(bits, 3), mask);
  codes[2] = OrMasked(codes[2], _mm512_slli_epi16(bits, 2), mask);
  codes[3] = OrMasked(codes[3], _mm512_slli_epi16(bits, 1), mask);
  codes[4] = OrMasked(codes[4], bits, mask);
  codes[5] = OrMasked(codes[5], _mm512_srli_epi16(bits, 1), mask);
  codes[6] = OrMasked(codes[6], _mm512_srli_epi16(bits, 2), mask);
  codes[7] = OrMasked(codes[7], _mm512_srli_epi16(bits, 3), mask);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<6>& packed, __m512i* codes) {
  LoadNibbles(packed.nibbles, codes);
  const __m512i mask = _mm512_set1_epi8(0x30);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m512i bits = Load(packed.upper_bits[h]);
    __m512i* half = codes + 4 * h;
    half[0] = OrMasked(half[0], _mm512_slli_epi16(bits, 4), mask);
    half[1] = OrMasked(half[1], _mm512_slli_epi16(bits, 2), mask);
    half[2] = OrMasked(half[2], bits, mask);
    half[3] = OrMasked(half[3], _mm512_srli_epi16(bits, 2), mask);
  }
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<8>& packed, __m512i* codes) {
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) codes[q] = Load(packed.bytes[q]);
}

// The scales and offsets of all sub-blocks of a block, a vector of 16 rows each.
[[gnu::always_inline]] inline void LoadScales(const PackedScales& packed, __m512* scale, __m512*) {
  scale[0] = LoadHalves(packed.scale);
}

[[gnu::always_inline]] inline void LoadScales(const PackedScalesAndOffsets& packed, __m512* scale,
                                              __m512* offset) {
  scale[0] = LoadHalves(packed.scale);
  offset[0] = LoadHalves(packed.offset);
}

[[gnu::always_inline]] inline void LoadScales(const PackedKScales& packed, __m512* scale,
                                              __m512* offset) {
  const __m512i mask = _mm512_set1_epi32(63);
  const __m512i words[3] = {_mm512_loadu_si512(packed.six_bit[0]),
                            _mm512_loadu_si512(packed.six_bit[1]),
                            _mm512_loadu_si512(packed.six_bit[2])};
  const __m512 super_scale = LoadHalves(packed.scale);
  const __m512 super_offset = _mm512_sub_ps(_mm512_setzero_ps(), LoadHalves(packed.min));
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const __m128i count = _mm_cvtsi32_si128(6 * (i % 5));
    const __m512i value = _mm512_and_si512(_mm512_srl_epi32(words[i / 5], count), mask);
    const __m512 factor = _mm512_cvtepi32_ps(value);
    if (i < 8) {
      scale[i] = _mm512_mul_ps(super_scale, factor);
    } else {
      offset[i - 8] = _mm512_mul_ps(super_offset, factor);
    }
  }
  const __m512i low = _mm512_srli_epi32(words[0], 30);
  const __m512i middle = _mm512_slli_epi32(_mm512_srli_epi32(words[1], 30), 2);
  const __m512i high = _mm512_slli_epi32(_mm512_srli_epi32(words[2], 30), 4);
  const __m512i last = _mm512_or_si512(_mm512_or_si512(low, middle), high);
  offset[7] = _mm512_mul_ps(super_offset, _mm512_cvtepi32_ps(last));
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScales& packed, __m512* scale,
                                              __m512*) {
  const __m512 super_scale = LoadHalves(packed.scale);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m128i sub = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed.sub[i]));
    scale[i] = _mm512_mul_ps(super_scale, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sub)));
  }
}

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

// Integer products of quads kFirst .. kFirst + kQuads - 1 with the activations of each token.
// Tokens vary fastest: their products are independent, and each waits five cycles for its
// predecessor.
template <int kFirst, int kQuads, int kTokens>
[[gnu::always_inline]] inline void MultiplyCodes(const __m512i (&codes)[8],
                                                 const ActivationBlock<kTokens>& x,
                                                 __m512i (&products)[kTokens]) {
#pragma GCC unroll 8
  for (int q = kFirst; q < kFirst + kQuads; ++q) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      int32_t quad;
      __builtin_memcpy(&quad, x.codes[t] + 4 * q, sizeof(quad));
      products[t] = _mm512_dpbusd_epi32(products[t], codes[q], _mm512_set1_epi32(quad));
    }
  }
}

// Adds 32 columns to the 16 rows' sums of each token. Instructions other than products count here:
// 512-bit ones share two ports.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void Accumulate(const __m512i (&codes)[8], const __m512* scale,
                                              const __m512* offset,
                                              const ActivationBlock<kTokens>& x,
                                              __m512 (&sums)[kTokens]) {
  constexpr int kZero = Layout::kZero;
  __m512 scaled[kTokens];
  __m512i products[kTokens];
  if constexpr (Layout::Scales::kPerSubBlock == 1) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) products[t] = StartOfProduct<kZero>(x.negative_sum[t]);
    MultiplyCodes<0, 8>(codes, x, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      scaled[t] = _mm512_mul_ps(_mm512_cvtepi32_ps(products[t]), scale[0]);
  } else {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      products[t] = StartOfProduct<kZero>(x.negative_half_sums[0][t]);
    MultiplyCodes<0, 4>(codes, x, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      scaled[t] = _mm512_mul_ps(_mm512_cvtepi32_ps(products[t]), scale[0]);
      products[t] = StartOfProduct<kZero>(x.negative_half_sums[1][t]);
    }
    MultiplyCodes<4, 4>(codes, x, products);
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t)
      scaled[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[t]), scale[1], scaled[t]);
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
    sums[t] = _mm512_fmadd_ps(scaled[t], _mm512_set1_ps(x.scale[t]), sums[t]);
    if constexpr (Layout::Scales::kHasOffset)
      sums[t] = _mm512_fmadd_ps(offset[0], _mm512_set1_ps(x.scaled_sum[t]), sums[t]);
  }
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  using Block = typename Layout::Block;
  constexpr int kScales = Layout::Scales::kPerSubBlock;
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const auto* x = reinterpret_cast<const ActivationBlock<kTokens>*>(args.activations);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes;
  __m512 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m512 scale[kScales * Layout::kSubBlocks];
    __m512 offset[Layout::kSubBlocks];
    LoadScales(block->scales, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++x, ahead += kSubBytes) {
      if (args.prefetch) {
#pragma GCC unroll 16
        for (int64_t p = 0; p < kSubBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
      }
      __m512i codes[8];
      LoadCodes(block->codes[s], codes);
      Accumulate<Layout, kTokens>(codes, scale + kScales * s, offset + s, *x, sums);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) _mm512_store_ps(args.sums + 16 * t, sums[t]);
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
void RunFloat(const TileArgs& args) {
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const auto* x = reinterpret_cast<const float*>(args.activations);
  const int64_t stride = args.activation_stride;
  __m512 even[kTokens];
  __m512 odd[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) even[t] = odd[t] = _mm512_setzero_ps();

  int64_t k = 0;
  for (; k + 2 <= args.n_cols; k += 2, block += 2) {
    if (args.prefetch) {
      const auto* ahead = reinterpret_cast<const char*>(block) + kPrefetchBytes;
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
    _mm512_store_ps(args.sums + 16 * t, _mm512_add_ps(even[t], odd[t]));
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

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, std::byte* tile) {
  QuantizeActivations(x, n_cols, token, n_tokens, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx512 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
