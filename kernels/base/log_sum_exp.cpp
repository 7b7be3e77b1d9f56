#include "kernels/base/log_sum_exp.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace forge {
namespace {

// A compiler splits these where the processor has narrower registers. They are passed by reference,
// because how they are passed by value depends on the processor they are compiled for. Spelled out
// twice: g++ 12 drops a vector_size that hangs on a template's parameter.
template <size_t kLanes>
struct Vectors;
template <>
struct Vectors<8> {
  using Floats = float __attribute__((vector_size(32)));
  using Ints = int32_t __attribute__((vector_size(32)));
  using Words = uint32_t __attribute__((vector_size(32)));
  using Doubles = double __attribute__((vector_size(64)));
};
template <>
struct Vectors<16> {
  using Floats = float __attribute__((vector_size(64)));
  using Ints = int32_t __attribute__((vector_size(64)));
  using Words = uint32_t __attribute__((vector_size(64)));
  using Doubles = double __attribute__((vector_size(128)));
};
constexpr size_t kVectors = 2;  // at a time, to hide the waits between them

template <typename Floats>
[[gnu::always_inline]] inline void Load(const float* values, Floats& vector) {
  std::memcpy(&vector, values, sizeof(vector));
}

// x = e^x for x <= 0, within 2e-7 of itself; 0 below -87, where floats end, and NaN of NaN. Cephes'
// method: e^x = 2^n e^r with |r| <= ln 2 / 2, and the series of e^r to its seventh power.
template <size_t kLanes>
[[gnu::always_inline]] inline void Exponentiate(typename Vectors<kLanes>::Floats& x) {
  using Floats = typename Vectors<kLanes>::Floats;
  using Words = typename Vectors<kLanes>::Words;
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const typename Vectors<kLanes>::Ints is_out_of_range = x <= -87.0f;
  const Floats shifted = x * kLog2E + kRounder;
  const Floats n = shifted - kRounder;
  const Floats r = x - n * kLn2High - n * kLn2Low;
  Floats series = r * (1.0f / 5040) + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  // The low bits of `shifted` are n; they go where a float keeps its exponent. Out of range the sum
  // may be any.
  x = Floats((Words(series) + (Words(shifted) << 23)) & ~Words(is_out_of_range));
}

// The largest; NaN if one of them is no number.
[[gnu::always_inline]] inline float FindMaximum(std::span<const float> values) {
  constexpr size_t kLanes = 8;
  constexpr size_t kStep = kLanes * kVectors;
  using Floats = Vectors<kLanes>::Floats;
  float maximum = -std::numeric_limits<float>::infinity();
  bool is_nan = false;
  size_t i = 0;
  if (values.size() >= kStep) {
    Floats maxima[kVectors];
    Vectors<kLanes>::Ints nans[kVectors] = {};
    for (size_t v = 0; v < kVectors; ++v) Load(values.data() + v * kLanes, maxima[v]);
    for (; i + kStep <= values.size(); i += kStep)
      for (size_t v = 0; v < kVectors; ++v) {
        Floats x;
        Load(values.data() + i + v * kLanes, x);
        maxima[v] = x > maxima[v] ? x : maxima[v];
        nans[v] |= x != x;
      }
    for (size_t v = 0; v < kVectors; ++v)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        maximum = std::max(maximum, maxima[v][lane]);
        is_nan |= nans[v][lane] != 0;
      }
  }
  for (; i < values.size(); ++i) {
    maximum = std::max(maximum, values[i]);
    is_nan |= std::isnan(values[i]);
  }
  return is_nan ? std::numeric_limits<float>::quiet_NaN() : maximum;
}

// A vocabulary has a hundred thousand logits and more, and this runs for every token of every
// stream. The sum is in double, so its rounding does not add to that of the exponentials.
template <size_t kLanes>
[[gnu::always_inline]] inline double SumOfExponentialsIn(std::span<const float> values,
                                                         float maximum) {
  using Doubles = typename Vectors<kLanes>::Doubles;
  constexpr size_t kStep = kLanes * kVectors;
  Doubles sums[kVectors] = {};
  typename Vectors<kLanes>::Floats x;
  size_t i = 0;
  for (; i + kStep <= values.size(); i += kStep)
    for (size_t v = 0; v < kVectors; ++v) {
      Load(values.data() + i + v * kLanes, x);
      x -= maximum;
      Exponentiate<kLanes>(x);
      sums[v] += __builtin_convertvector(x, Doubles);
    }
  double sum = 0.0;
  for (size_t v = 0; v < kVectors; ++v)
    for (size_t lane = 0; lane < kLanes; ++lane) sum += sums[v][lane];
  for (; i < values.size(); ++i) {
    x = typename Vectors<kLanes>::Floats{values[i] - maximum};
    Exponentiate<kLanes>(x);
    sum += static_cast<double>(x[0]);
  }
  return sum;
}

#if defined(__x86_64__)
[[gnu::target("avx512f")]] double SumOfExponentialsAvx512(std::span<const float> values,
                                                          float maximum) {
  return SumOfExponentialsIn<16>(values, maximum);
}

[[gnu::target("avx2,fma")]] double SumOfExponentialsAvx2(std::span<const float> values,
                                                         float maximum) {
  return SumOfExponentialsIn<8>(values, maximum);
}

[[gnu::target("avx2,fma")]] float FindMaximumAvx2(std::span<const float> values) {
  return FindMaximum(values);
}

bool HasAvx512() { return __builtin_cpu_supports("avx512f"); }
bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace

double SumOfExponentials(std::span<const float> values, float maximum) {
#if defined(__x86_64__)
  if (HasAvx512()) return SumOfExponentialsAvx512(values, maximum);
  if (HasAvx2()) return SumOfExponentialsAvx2(values, maximum);
#endif
  return SumOfExponentialsIn<8>(values, maximum);
}

double LogSumExp(std::span<const float> values) {
  const float maximum = Maximum(values);
  if (!std::isfinite(maximum)) return static_cast<double>(maximum);
  return static_cast<double>(maximum) + std::log(SumOfExponentials(values, maximum));
}

float Maximum(std::span<const float> values) {
#if defined(__x86_64__)
  if (HasAvx2()) return FindMaximumAvx2(values);
#endif
  return FindMaximum(values);
}

}  // namespace forge
