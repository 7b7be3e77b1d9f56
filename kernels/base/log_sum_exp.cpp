#include "kernels/base/log_sum_exp.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace forge {
namespace {

// A compiler splits these where the processor has narrower registers. They are passed by reference,
// because how they are passed by value depends on the processor they are compiled for.
using Floats = float __attribute__((vector_size(32)));
using Ints = int32_t __attribute__((vector_size(32)));
using Words = uint32_t __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(64)));
constexpr size_t kLanes = 8;
constexpr size_t kVectors = 2;  // at a time, to hide the waits between them
constexpr size_t kStep = kLanes * kVectors;

[[gnu::always_inline]] inline void Load(const float* values, Floats& vector) {
  std::memcpy(&vector, values, sizeof(vector));
}

// x = e^x for x <= 0, within 2e-7 of itself; 0 below -87, where floats end. Cephes' method: e^x =
// 2^n e^r with |r| <= ln 2 / 2, and the series of e^r to its seventh power.
[[gnu::always_inline]] inline void Exponentiate(Floats& x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Ints is_in_range = x > -87.0f;
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
  x = Floats((Words(series) + (Words(shifted) << 23)) & Words(is_in_range));
}

// The largest; NaN if one of them is no number.
[[gnu::always_inline]] inline float FindMaximum(std::span<const float> values) {
  float maximum = -std::numeric_limits<float>::infinity();
  bool is_nan = false;
  size_t i = 0;
  if (values.size() >= kStep) {
    Floats maxima[kVectors];
    Ints nans[kVectors] = {};
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
// stream: 151,936 logits take 88 us, with std::exp in double 503 (EPYC of the Zen 5 generation, g++
// 12). The sum is in double, so its rounding does not add to that of the exponentials.
[[gnu::always_inline]] inline double LogSumExpOf(std::span<const float> values) {
  const float maximum = FindMaximum(values);
  if (!std::isfinite(maximum)) return static_cast<double>(maximum);
  Doubles sums[kVectors] = {};
  Floats x;
  size_t i = 0;
  for (; i + kStep <= values.size(); i += kStep)
    for (size_t v = 0; v < kVectors; ++v) {
      Load(values.data() + i + v * kLanes, x);
      x -= maximum;
      Exponentiate(x);
      sums[v] += __builtin_convertvector(x, Doubles);
    }
  double sum = 0.0;
  for (size_t v = 0; v < kVectors; ++v)
    for (size_t lane = 0; lane < kLanes; ++lane) sum += sums[v][lane];
  for (; i < values.size(); ++i) {
    x = Floats{values[i] - maximum};
    Exponentiate(x);
    sum += static_cast<double>(x[0]);
  }
  return static_cast<double>(maximum) + std::log(sum);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] double LogSumExpAvx2(std::span<const float> values) {
  return LogSumExpOf(values);
}

[[gnu::target("avx2,fma")]] float FindMaximumAvx2(std::span<const float> values) {
  return FindMaximum(values);
}

bool HasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

}  // namespace

double LogSumExp(std::span<const float> values) {
#if defined(__x86_64__)
  if (HasAvx2()) return LogSumExpAvx2(values);
#endif
  return LogSumExpOf(values);
}

float Maximum(std::span<const float> values) {
#if defined(__x86_64__)
  if (HasAvx2()) return FindMaximumAvx2(values);
#endif
  return FindMaximum(values);
}

}  // namespace forge
