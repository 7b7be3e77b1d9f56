#include "tests/kernels/avxvnni_stand_in.h"

#include <immintrin.h>

namespace {

// sum + the products of four unsigned and four signed bytes of each lane, as vpdpbusd has it.
inline __m256i MultiplyBytes(__m256i sum, __m256i codes, __m256i activations) {
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(255)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(activations, 8), 8));
  const __m256i odd =
      _mm256_madd_epi16(_mm256_srli_epi16(codes, 8), _mm256_srai_epi16(activations, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

// sum + the products of two words of each lane, as vpdpwssd has it.
inline __m256i MultiplyTwoWords(__m256i sum, __m256i a, __m256i b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

}  // namespace

#define __AVXVNNI__ 1
#define _mm256_dpbusd_avx_epi32 MultiplyBytes
#define _mm256_dpwssd_avx_epi32 MultiplyTwoWords
#include "kernels/cpu/matmul_avx2.inl"

namespace forge::testing {

constinit const MatmulKernels kMatmulKernelsAvxVnniStandIn =
    MakeMatmulKernels<Kernels>(Quantize, std::make_index_sequence<MatmulKernels::kFormats>(),
                               std::integer_sequence<int, 0, kTileTokens - 1>());

}  // namespace forge::testing
