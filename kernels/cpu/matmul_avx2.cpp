#include <immintrin.h>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"

// Compiled for AVX2, FMA and F16C. Everything here has internal linkage or is always inlined: a
// shared inline function compiled in this file might be linked into code for lesser processors.
//
// A group is worked on in two halves of eight rows, so that the sums of eight tokens stay in
// registers.

namespace forge {
namespace {

constexpr int64_t kPrefetchBytes = 2560;  // as in matmul_avx512.cpp

// Eight rows' bytes of one plane; `rows` is 0 or 8.
[[gnu::always_inline]] inline __m256i Load(const uint8_t* plane, int rows) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane + 4 * rows));
}

[[gnu::always_inline]] inline __m256 LoadHalves(const F16* p, int rows) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + rows)));
}

// Quads 0-7 of eight rows as bytes; `nibbles` holds two quads in each vector.
[[gnu::always_inline]] inline void LoadNibbles(const uint8_t (&nibbles)[4][64], int rows,
                                               __m256i* codes) {
  const __m256i mask = _mm256_set1_epi8(15);
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const __m256i both = Load(nibbles[q], rows);
    codes[q] = _mm256_and_si256(both, mask);
    codes[q + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
  }
}

// low | (high & mask)
[[gnu::always_inline]] inline __m256i OrMasked(__m256i low, __m256i high, __m256i mask) {
  return _mm256_or_si256(low, _mm256_and_si256(high, mask));
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<4>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<5>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
  const __m256i bits = Load(packed.fifth_bits, rows);
  const __m256i mask = _mm256_set1_epi8(16);
  codes[0] = OrMasked(codes[0], _mm256_slli_epi16(bits, 4), mask);
  codes[1] = OrMasked(codes[1], _mm256_slli_epi16(bits, 3), mask);
  codes[2] = OrMasked(codes[2], _mm256_slli_epi16(bits, 2), mask);
  codes[3] = OrMasked(codes[3], _mm256_slli_epi16(bits, 1), mask);
  codes[4] = OrMasked(codes[4], bits, mask);
  codes[5] = OrMasked(codes[5], _mm256_srli_epi16(bits, 1), mask);
  codes[6] = OrMasked(codes[6], _mm256_srli_epi16(bits, 2), mask);
  codes[7] = OrMasked(codes[7], _mm256_srli_epi16(bits, 3), mask);
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<6>& packed, int rows,
                                             __m256i* codes) {
  LoadNibbles(packed.nibbles, rows, codes);
  const __m256i mask = _mm256_set1_epi8(0x30);
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    const __m256i bits = Load(packed.upper_bits[h], rows);
    __m256i* half = codes + 4 * h;
    half[0] = OrMasked(half[0], _mm256_slli_epi16(bits, 4), mask);
    half[1] = OrMasked(half[1], _mm256_slli_epi16(bits, 2), mask);
    half[2] = OrMasked(half[2], bits, mask);
    half[3] = OrMasked(half[3], _mm256_srli_epi16(bits, 2), mask);
  }
}

[[gnu::always_inline]] inline void LoadCodes(const PackedCodes<8>& packed, int rows,
                                             __m256i* codes) {
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) codes[q] = Load(packed.bytes[q], rows);
}

// The scales and offsets of all sub-blocks of a block, a vector of eight rows each.
[[gnu::always_inline]] inline void LoadScales(const PackedScales& packed, int rows, __m256* scale,
                                              __m256*) {
  scale[0] = LoadHalves(packed.scale, rows);
}

[[gnu::always_inline]] inline void LoadScales(const PackedScalesAndOffsets& packed, int rows,
                                              __m256* scale, __m256* offset) {
  scale[0] = LoadHalves(packed.scale, rows);
  offset[0] = LoadHalves(packed.offset, rows);
}

[[gnu::always_inline]] inline void LoadScales(const PackedKScales& packed, int rows, __m256* scale,
                                              __m256* offset) {
  const __m256i mask = _mm256_set1_epi32(63);
  __m256i words[3];
#pragma GCC unroll 3
  for (int w = 0; w < 3; ++w)
    words[w] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(packed.six_bit[w] + rows));
  const __m256 super_scale = LoadHalves(packed.scale, rows);
  const __m256 super_offset = _mm256_sub_ps(_mm256_setzero_ps(), LoadHalves(packed.min, rows));
#pragma GCC unroll 15
  for (int i = 0; i < 15; ++i) {
    const __m128i count = _mm_cvtsi32_si128(6 * (i % 5));
    const __m256i value = _mm256_and_si256(_mm256_srl_epi32(words[i / 5], count), mask);
    const __m256 factor = _mm256_cvtepi32_ps(value);
    if (i < 8) {
      scale[i] = _mm256_mul_ps(super_scale, factor);
    } else {
      offset[i - 8] = _mm256_mul_ps(super_offset, factor);
    }
  }
  const __m256i low = _mm256_srli_epi32(words[0], 30);
  const __m256i middle = _mm256_slli_epi32(_mm256_srli_epi32(words[1], 30), 2);
  const __m256i high = _mm256_slli_epi32(_mm256_srli_epi32(words[2], 30), 4);
  const __m256i last = _mm256_or_si256(_mm256_or_si256(low, middle), high);
  offset[7] = _mm256_mul_ps(super_offset, _mm256_cvtepi32_ps(last));
}

[[gnu::always_inline]] inline void LoadScales(const PackedHalfScales& packed, int rows,
                                              __m256* scale, __m256*) {
  const __m256 super_scale = LoadHalves(packed.scale, rows);
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    const __m128i sub = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed.sub[i] + rows));
    scale[i] = _mm256_mul_ps(super_scale, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(sub)));
  }
}

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
// in 16 bits, so the steps follow from the largest code: 31 * 127 * 8 and 63 * 127 * 4 fit, and
// eight-bit codes are multiplied as 16-bit numbers.
template <int kBits>
[[gnu::always_inline]] inline __m256i MultiplyHalf(const __m256i* codes, const int8_t* x,
                                                   __m256i start) {
  if constexpr (kBits == 8) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const __m256i values = BroadcastQuad(x + 4 * q);
      const __m256i even_values = _mm256_srai_epi16(_mm256_slli_epi16(values, 8), 8);
      const __m256i odd_values = _mm256_srai_epi16(values, 8);
      const __m256i even_codes = _mm256_and_si256(codes[q], _mm256_set1_epi16(255));
      const __m256i odd_codes = _mm256_srli_epi16(codes[q], 8);
      start = _mm256_add_epi32(start, _mm256_madd_epi16(even_codes, even_values));
      start = _mm256_add_epi32(start, _mm256_madd_epi16(odd_codes, odd_values));
    }
    return start;
  } else {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i pairs[4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) pairs[q] = _mm256_maddubs_epi16(codes[q], BroadcastQuad(x + 4 * q));
    const __m256i first = _mm256_add_epi16(pairs[0], pairs[1]);
    const __m256i second = _mm256_add_epi16(pairs[2], pairs[3]);
    if constexpr (kBits <= 5) {
      const __m256i all = _mm256_add_epi16(first, second);
      return _mm256_add_epi32(start, _mm256_madd_epi16(all, ones));
    } else {
      start = _mm256_add_epi32(start, _mm256_madd_epi16(first, ones));
      return _mm256_add_epi32(start, _mm256_madd_epi16(second, ones));
    }
  }
}

// Adds 32 columns of one token to the eight rows' sums.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void Accumulate(const __m256i (&codes)[8], const __m256* scale,
                                              const __m256* offset,
                                              const ActivationBlock<kTokens>& x, int t,
                                              __m256& sum) {
  const __m256i first = MultiplyHalf<Layout::kBits>(
      codes, x.codes[t], StartOfHalf<Layout::kZero>(x.negative_half_sums[0][t]));
  const __m256i second = MultiplyHalf<Layout::kBits>(
      codes + 4, x.codes[t] + 16, StartOfHalf<Layout::kZero>(x.negative_half_sums[1][t]));
  __m256 product;
  if constexpr (Layout::Scales::kPerSubBlock == 1) {
    product = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(first, second)), scale[0]);
  } else {
    product = _mm256_mul_ps(_mm256_cvtepi32_ps(first), scale[0]);
    product = _mm256_fmadd_ps(_mm256_cvtepi32_ps(second), scale[1], product);
  }
  sum = _mm256_fmadd_ps(product, _mm256_set1_ps(x.scale[t]), sum);
  if constexpr (Layout::Scales::kHasOffset)
    sum = _mm256_fmadd_ps(offset[0], _mm256_set1_ps(x.scaled_sum[t]), sum);
}

template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void RunQuantizedRows(const TileArgs& args, int rows, bool prefetch) {
  using Block = typename Layout::Block;
  constexpr int kScales = Layout::Scales::kPerSubBlock;
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  const auto* x = reinterpret_cast<const ActivationBlock<kTokens>*>(args.activations);
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes;
  __m256 sums[kTokens];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm256_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    __m256 scale[kScales * Layout::kSubBlocks];
    __m256 offset[Layout::kSubBlocks];
    LoadScales(block->scales, rows, scale, offset);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++x, ahead += kSubBytes) {
      if (prefetch) {
#pragma GCC unroll 16
        for (int64_t p = 0; p < kSubBytes; p += 64) _mm_prefetch(ahead + p, _MM_HINT_T0);
      }
      __m256i codes[8];
      LoadCodes(block->codes[s], rows, codes);
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t)
        Accumulate<Layout, kTokens>(codes, scale + kScales * s, offset + s, *x, t, sums[t]);
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

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, std::byte* tile) {
  QuantizeActivations(x, n_cols, token, n_tokens, tile);
}

}  // namespace

constinit const MatmulKernels kMatmulKernelsAvx2 = MakeMatmulKernels<Kernels>(Quantize);

}  // namespace forge
