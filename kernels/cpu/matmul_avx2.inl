// The kernels of matmul_avx2.cpp, and of matmul_avxvnni.cpp, which is compiled for AVX-VNNI and so
// multiplies with fewer instructions, to the same bits. Everything here has internal linkage or is
// always inlined: a shared inline function compiled for one instruction set might be linked into
// code for lesser processors.
//
// A group is two halves of eight rows, a vector of 32-bit lanes each.

#include <immintrin.h>

#include <algorithm>
#include <type_traits>

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/pack_layout.h"
#include "kernels/cpu/pack_read_avx2.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/quantize_avx2.h"

namespace forge {
namespace {

#ifdef __AVXVNNI__
constexpr bool kHasVnni = true;
#else
constexpr bool kHasVnni = false;
#endif

// Of two cores of the Zen 3 generation, from 1536 to 2048 alike; more cost up to a tenth.
template <typename Layout>
constexpr int64_t kPrefetchBytes = PrefetchBytes<Layout>(1920);

// Codes are kZero above their value: takes away that times the sum of the activations.
template <int kZero>
[[gnu::always_inline]] inline void AddZero(int32_t negative_sum, __m256i (&products)[2]) {
  if constexpr (kZero != 0) {
    static_assert((kZero & (kZero - 1)) == 0);
    const __m256i zero = _mm256_slli_epi32(_mm256_set1_epi32(negative_sum), __builtin_ctz(kZero));
    products[0] = _mm256_add_epi32(products[0], zero);
    products[1] = _mm256_add_epi32(products[1], zero);
  }
}

[[gnu::always_inline]] inline __m256i BroadcastQuad(const int8_t* x) {
  int32_t quad;
  __builtin_memcpy(&quad, x, sizeof(quad));
  return _mm256_set1_epi32(quad);
}

// The codes of 32 columns of 16 rows. Without VNNI those of more than six bits come as magnitudes,
// and are multiplied with the activations under their signs.
template <typename Layout>
struct Codes {
  static constexpr bool kAreSigned = !kHasVnni && Layout::kBits >= 7;
  static constexpr int kZero = kAreSigned ? 0 : Layout::kZero;
  // How many quads' products with activations fit 16 bits together, two of each quad in a lane:
  // 15 * 127 * 16, 31 * 127 * 8, 63 * 127 * 4 and 128 * 127 * 2 do.
  static constexpr int kQuadsIn16Bits = Layout::kBits <= 4   ? 8
                                        : Layout::kBits == 5 ? 4
                                        : Layout::kBits <= 7 ? 2
                                                             : 1;

  // Whether codes are loaded anew for every four tokens. Else GCC 12 keeps some in registers from
  // one use to the next and spills sums in their place, which costs up to 5 % of the time; of codes
  // of eight bits reloading costs as much.
  static constexpr bool kAreReloaded = Layout::kBits < 8;

  __m256i codes[2][8];  // [half][quad]
  __m256i signs[2][kAreSigned ? 8 : 1];

  [[gnu::always_inline]] void Load(const typename Layout::Block& block, int s) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      if constexpr (kAreSigned) {
        LoadSignedSubBlock<Layout>(block, s, 8 * h, codes[h], signs[h]);
      } else {
        LoadSubBlock<Layout>(block, s, 8 * h, codes[h]);
      }
    }
  }

  // Sums of two adjacent products each, in 16 bits.
  [[gnu::always_inline]] __m256i Pairs(int h, int q, __m256i activations) const {
    if constexpr (kAreSigned) activations = _mm256_sign_epi8(activations, signs[h][q]);
    return _mm256_maddubs_epi16(codes[h][q], activations);
  }
};

// The products of quads kFirst .. kFirst + kQuads - 1 with the activations of each token.
template <typename Layout, int kFirst, int kQuads, int kTokens>
[[gnu::always_inline]] inline void MultiplyQuads(const Codes<Layout>& w, const int8_t (*x)[32],
                                                 __m256i (&products)[kTokens][2]) {
#ifdef __AVXVNNI__
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) products[t][0] = products[t][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int q = kFirst; q < kFirst + kQuads; ++q) {
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
      const __m256i activations = BroadcastQuad(x[t] + 4 * q);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h)
        products[t][h] = _mm256_dpbusd_avx_epi32(products[t][h], w.codes[h][q], activations);
    }
  }
#else
  const __m256i ones = _mm256_set1_epi16(1);
  constexpr int kStep = std::min(kQuads, Codes<Layout>::kQuadsIn16Bits);
#pragma GCC unroll 8
  for (int first = kFirst; first < kFirst + kQuads; first += kStep) {
    __m256i pairs[kTokens][2];
#pragma GCC unroll 8
    for (int q = first; q < first + kStep; ++q) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        const __m256i activations = BroadcastQuad(x[t] + 4 * q);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h) {
          const __m256i more = w.Pairs(h, q, activations);
          pairs[t][h] = q == first ? more : _mm256_add_epi16(pairs[t][h], more);
          if (q < first + kStep - 1) continue;
          // Here, not after all tokens: what is alive meanwhile has to fit the registers.
          const __m256i sums = _mm256_madd_epi16(pairs[t][h], ones);
          products[t][h] = first == kFirst ? sums : _mm256_add_epi32(products[t][h], sums);
        }
      }
    }
  }
#endif
}

// sum + the products of two words of each lane.
[[gnu::always_inline]] inline __m256i MultiplyWords(__m256i sum, __m256i a, __m256i b) {
#ifdef __AVXVNNI__
  return _mm256_dpwssd_avx_epi32(sum, a, b);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
#endif
}

// The values of 32 columns of 16 rows in 16 bits, for layouts with two digits.
template <typename Layout>
struct Words {
  static constexpr bool kAreReloaded = true;  // as in Codes; here it saves a third of the time

  __m256i words[2][8][2];  // [half][quad]: columns 0 and 2 of it, columns 1 and 3

  [[gnu::always_inline]] void Load(const typename Layout::Block& block, int s) {
    const __m256i zero = _mm256_set1_epi8(static_cast<char>(Layout::kZero));
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      __m256i codes[8];
      LoadSubBlock<Layout>(block, s, 8 * h, codes);
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        const __m256i values = _mm256_sub_epi8(codes[q], zero);
        words[h][q][0] = _mm256_srai_epi16(_mm256_slli_epi16(values, 8), 8);
        words[h][q][1] = _mm256_srai_epi16(values, 8);
      }
    }
  }
};

// The scales and offsets of a block, a vector for each half.
template <typename Layout>
struct Scales {
  static constexpr int kOffsets = std::max(1, Layout::kOffsets);
  __m256 scale[2][Layout::kScales * Layout::kSubBlocks];
  __m256 offset[2][kOffsets * Layout::kSubBlocks];

  [[gnu::always_inline]] void Load(const typename Layout::Block& block) {
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) LoadAllScales<Layout>(block, 8 * h, scale[h], offset[h]);
  }
};

// The products of the columns of sub-block `s` that have scale kPart of it: all 32, or 16. Those of
// the first part are written to `scaled`, the others added.
template <typename Layout, int kPart, int kFirst, int kTokens, int kTokensOfTile>
[[gnu::always_inline]] inline void MultiplyPart(const Codes<Layout>& w,
                                                const Scales<Layout>& scales, int s,
                                                const ActivationBlock<kTokensOfTile>& x,
                                                __m256 (&scaled)[kTokens][2]) {
  constexpr int kQuads = 8 / Layout::kScales;
  const int32_t* const negative_sums =
      Layout::kScales == 1 ? x.negative_sum : x.negative_half_sums[kPart];
  __m256i products[kTokens][2];
  MultiplyQuads<Layout, kPart * kQuads, kQuads>(w, x.codes + kFirst, products);
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
    AddZero<Codes<Layout>::kZero>(negative_sums[kFirst + t], products[t]);
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m256 scale = scales.scale[h][Layout::kScales * s + kPart];
      const __m256 values = _mm256_cvtepi32_ps(products[t][h]);
      scaled[t][h] =
          kPart == 0 ? _mm256_mul_ps(values, scale) : _mm256_fmadd_ps(values, scale, scaled[t][h]);
    }
  }
}

// Adds sub-block `s` to the 16 rows' sums of tokens kFirst .. kFirst + kTokens - 1 of a tile.
template <typename Layout, int kFirst, int kTokens, int kTokensOfTile>
[[gnu::always_inline]] inline void Accumulate(const Codes<Layout>& w, const Scales<Layout>& scales,
                                              int s, const ActivationBlock<kTokensOfTile>& x,
                                              const SecondDigits<kTokensOfTile>& /*rests*/,
                                              __m256 (*sums)[2]) {
  __m256 scaled[kTokens][2];
  MultiplyPart<Layout, 0, kFirst>(w, scales, s, x, scaled);
  if constexpr (Layout::kScales == 2) MultiplyPart<Layout, 1, kFirst>(w, scales, s, x, scaled);
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
    // Read once, and each sum written once: for all that the compiler knows they overlap.
    const __m256 scale = _mm256_set1_ps(x.scale[kFirst + t]);
    const __m256 scaled_sum = _mm256_set1_ps(x.scaled_sum[kFirst + t]);
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      if constexpr (Layout::kOffsets == 2) {
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i)
          scaled[t][h] = _mm256_fnmadd_ps(
              scales.offset[h][2 * s + i],
              _mm256_cvtepi32_ps(_mm256_set1_epi32(x.negative_half_sums[i][kFirst + t])),
              scaled[t][h]);
      }
      __m256 sum = _mm256_fmadd_ps(scaled[t][h], scale, sums[kFirst + t][h]);
      if constexpr (Layout::kOffsets == 1)
        sum = _mm256_fmadd_ps(scales.offset[h][s], scaled_sum, sum);
      sums[kFirst + t][h] = sum;
    }
  }
}

// Likewise with both digits of the activations, see JoinDigits.
template <typename Layout, int kFirst, int kTokens, int kTokensOfTile>
[[gnu::always_inline]] inline void Accumulate(const Words<Layout>& w, const Scales<Layout>& scales,
                                              int s, const ActivationBlock<kTokensOfTile>& x,
                                              const SecondDigits<kTokensOfTile>& rests,
                                              __m256 (*sums)[2]) {
  __m256i products[kTokens][2] = {};
#pragma GCC unroll 8
  for (int q = 0; q < 8; ++q) {
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const __m256i pair = BroadcastQuad(rests.digits[kFirst + t] + 8 * q + 4 * i);
#pragma GCC unroll 2
        for (int h = 0; h < 2; ++h)
          products[t][h] = MultiplyWords(products[t][h], w.words[h][q][i], pair);
      }
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
    const __m256 scale = _mm256_set1_ps(x.scale[kFirst + t] * kDigitStep);
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      __m256& sum = sums[kFirst + t][h];
      sum = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(products[t][h]), scales.scale[h][s]),
                            scale, sum);
    }
  }
}

constexpr int kTokensAtOnce = 4;  // whose products fit the registers

// Adds sub-block `s` to the sums of all tokens of a tile.
template <typename Layout, int kTokens, int kFirst = 0, typename CodesOrWords>
[[gnu::always_inline]] inline void AccumulateTile(CodesOrWords& w, const Scales<Layout>& scales,
                                                  int s, const ActivationBlock<kTokens>& x,
                                                  const SecondDigits<kTokens>& rests,
                                                  __m256 (*sums)[2]) {
  if constexpr (kTokens > kTokensAtOnce && CodesOrWords::kAreReloaded) asm("" : "+m"(w));
  constexpr int kCount = std::min(kTokensAtOnce, kTokens - kFirst);
  Accumulate<Layout, kFirst, kCount>(w, scales, s, x, rests, sums);
  if constexpr (kFirst + kCount < kTokens)
    AccumulateTile<Layout, kTokens, kFirst + kCount>(w, scales, s, x, rests, sums);
}

template <typename Layout, int kTokens>
void RunQuantized(const TileArgs& args) {
  using Block = typename Layout::Block;
  constexpr int64_t kSubBytes = sizeof(Block) / Layout::kSubBlocks;
  constexpr bool kHasTiles = kTokens == kTileTokens;
  const int n_tiles = kHasTiles ? args.n_tiles : 1;
  const ActivationTiles<kTokens> x(args.activations, args.n_cols);
  const auto* block = reinterpret_cast<const Block*>(args.weights);
  int64_t k = 0;  // 32 columns of activations
  const auto* ahead = reinterpret_cast<const char*>(args.weights) + kPrefetchBytes<Layout>;
  __m256 local[kHasTiles ? 1 : kTokens][2];
  auto* const results = reinterpret_cast<__m256(*)[2]>(args.sums);
  auto* const sums = kHasTiles ? results : local;
#pragma GCC unroll 8
  for (int t = 0; t < n_tiles * kTokens; ++t) sums[t][0] = sums[t][1] = _mm256_setzero_ps();

  for (int64_t i = 0; i < args.n_cols; i += Layout::kColumns, ++block) {
    Scales<Layout> scales;
    scales.Load(*block);
#pragma GCC unroll 1
    for (int s = 0; s < Layout::kSubBlocks; ++s, ++k, ahead += kSubBytes) {
      if (args.prefetch) PrefetchColumns<kSubBytes, kTokens>(ahead, k);
      std::conditional_t<Layout::kDigits == 2, Words<Layout>, Codes<Layout>> codes;
      codes.Load(*block, s);
#pragma GCC unroll 1
      for (int tile = 0; tile < n_tiles; ++tile)
        AccumulateTile<Layout, kTokens>(codes, scales, s, x.Block(tile, k), x.Digits(tile, k),
                                        sums + tile * kTokens);
    }
  }
  if constexpr (!kHasTiles) {
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      results[t][0] = local[t][0];
      results[t][1] = local[t][1];
    }
  }
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

// Writes the sums of kTokens tokens from `x` on.
template <typename Layout, int kTokens>
[[gnu::always_inline]] inline void MultiplyFloats(const TileArgs& args, const float* x,
                                                  bool prefetch, float* results) {
  constexpr int kFetched = 4;  // columns at a time
  const auto* block = reinterpret_cast<const typename Layout::Block*>(args.weights);
  const int64_t stride = args.activation_stride;
  __m256 sums[kTokens][2];
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) sums[t][0] = sums[t][1] = _mm256_setzero_ps();
  const auto add_column = [&](int64_t k) __attribute__((always_inline)) {
    const auto& values = block[k].values;
    const __m256 weights[2] = {LoadElements(values, 0), LoadElements(values, 8)};
#pragma GCC unroll 4
    for (int t = 0; t < kTokens; ++t) {
      const __m256 value = _mm256_set1_ps(x[t * stride + k]);
      sums[t][0] = _mm256_fmadd_ps(weights[0], value, sums[t][0]);
      sums[t][1] = _mm256_fmadd_ps(weights[1], value, sums[t][1]);
    }
  };
  int64_t k = 0;
  for (; k + kFetched <= args.n_cols; k += kFetched) {
    if (prefetch) {
      const auto* ahead = reinterpret_cast<const char*>(block + k) + kPrefetchBytes<Layout>;
      Prefetch<kFetched * sizeof(*block)>(ahead);
      PrefetchPageBeyond(ahead);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kFetched; ++i) add_column(k + i);
  }
  for (; k < args.n_cols; ++k) add_column(k);
#pragma GCC unroll 4
  for (int t = 0; t < kTokens; ++t) {
    _mm256_store_ps(results + 16 * t, sums[t][0]);
    _mm256_store_ps(results + 16 * t + 8, sums[t][1]);
  }
}

template <typename Layout, int kTokens>
void RunFloat(const TileArgs& args) {
  const auto* x = reinterpret_cast<const float*>(args.activations);
  const int n_tokens = kTokens == kTileTokens ? args.n_tiles * kTokens : kTokens;
  constexpr int kRest = kTokens % kTokensAtOnce;
  int t = 0;
  for (; t + kTokensAtOnce <= n_tokens; t += kTokensAtOnce)
    MultiplyFloats<Layout, kTokensAtOnce>(args, x + t * args.activation_stride,
                                          args.prefetch && t == 0, args.sums + 16 * t);
  if constexpr (kRest != 0)
    MultiplyFloats<Layout, kRest>(args, x + t * args.activation_stride, args.prefetch && t == 0,
                                  args.sums + 16 * t);
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

// Joins both digits of 16 activations to an integer each, the columns of a quad in the order 0 2
// 1 3.
[[gnu::always_inline]] inline __m256i JoinDigits(const int8_t* codes, const int8_t* digits) {
  const __m256i order = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
  const auto widen = [](const int8_t* x) __attribute__((always_inline)) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
  };
  const __m256i upper = _mm256_mullo_epi16(widen(codes), _mm256_set1_epi16(kDigitsPerStep));
  return _mm256_shuffle_epi8(_mm256_add_epi16(upper, widen(digits)), order);
}

void Quantize(const float* x, int64_t n_cols, int token, int n_tokens, bool has_digits,
              std::byte* tile) {
  QuantizeActivationsAvx2(x, n_cols, token, n_tokens, has_digits, tile);
  if (!has_digits) return;
  auto* codes = reinterpret_cast<const int8_t*>(tile) + 32 * token;
  auto* digits = reinterpret_cast<int8_t*>(SecondDigitsOf(tile, n_cols, n_tokens)) + 64 * token;
  for (int64_t i = 0; i < n_cols; i += kActivationBlockColumns) {
    const __m256i second = JoinDigits(codes + 16, digits + 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(digits), JoinDigits(codes, digits));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(digits + 32), second);
    codes += n_tokens * kActivationBlockBytes;
    digits += n_tokens * kSecondDigitBytes;
  }
}

}  // namespace
}  // namespace forge
