// Defines kVectorKernels in terms of the vectors of the simd_*.h that was included before.
//
// This text is compiled once for each instruction set. Of inline functions and templates in shared
// headers it uses none but those that are always inlined, so that none is emitted with instructions
// that other processors lack.

#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/vector_math.inl"

namespace forge {
namespace {

// What follows the norm of n elements, which begin at the i-th of a row.
inline Vec Finish(Vec normed, const RowNorm& norm, const float* residual, int64_t i, int n) {
  if (norm.weight != nullptr) normed = normed * LoadFirst(norm.weight + i, n);
  if (norm.bias != nullptr) normed += LoadFirst(norm.bias + i, n);
  if (residual != nullptr) normed = LoadFirst(residual + i, n) + normed;
  return norm.sum_scale == nullptr ? normed : normed * Set(*norm.sum_scale);
}

void RmsNorm(const float* x, const RowNorm& norm, const float* residual, float* y, int64_t dim) {
  Vec squares[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= dim; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) {
      const Vec v = Load(x + i + k * kLanes);
      squares[k] = Fma(v, v, squares[k]);
    }
  }
  for (; i < dim; i += kLanes) {
    const int n = dim - i < kLanes ? static_cast<int>(dim - i) : kLanes;
    const Vec v = LoadFirst(x + i, n);
    squares[0] = Fma(v, v, squares[0]);
  }
  const float sum = Sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  const Vec scale = Set(1.0f / __builtin_sqrtf(sum / static_cast<float>(dim) + norm.epsilon));
  for (i = 0; i + kLanes <= dim; i += kLanes) {
    Vec normed = Load(x + i) * scale;
    if (norm.weight != nullptr) normed = normed * Load(norm.weight + i);
    if (residual != nullptr) normed = Load(residual + i) + normed;
    if (norm.sum_scale != nullptr) normed = normed * Set(*norm.sum_scale);
    Store(y + i, normed);
  }
  if (i < dim) {
    const int n = static_cast<int>(dim - i);
    StoreFirst(y + i, Finish(LoadFirst(x + i, n) * scale, norm, residual, i, n), n);
  }
}

// `value` in the first n lanes, 0 in the others.
inline Vec SetFirst(float value, int n) {
  float lanes[kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = value;
  return Load(lanes);
}

float Mean(const float* x, int64_t dim) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= dim; i += 4 * kLanes)
    for (int k = 0; k < 4; ++k) sums[k] += Load(x + i + k * kLanes);
  for (; i < dim; i += kLanes)
    sums[0] += LoadFirst(x + i, dim - i < kLanes ? static_cast<int>(dim - i) : kLanes);
  return Sum((sums[0] + sums[1]) + (sums[2] + sums[3])) / static_cast<float>(dim);
}

// Squares of differences from the mean, not those of x less that of the mean, which cancel.
void LayerNorm(const float* x, const RowNorm& norm, const float* residual, float* y, int64_t dim) {
  const float mean = Mean(x, dim);
  const Vec means = Set(mean);
  Vec squares[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= dim; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) {
      const Vec v = Load(x + i + k * kLanes) - means;
      squares[k] = Fma(v, v, squares[k]);
    }
  }
  for (; i < dim; i += kLanes) {
    const int n = dim - i < kLanes ? static_cast<int>(dim - i) : kLanes;
    const Vec v = LoadFirst(x + i, n) - SetFirst(mean, n);
    squares[0] = Fma(v, v, squares[0]);
  }
  const float sum = Sum((squares[0] + squares[1]) + (squares[2] + squares[3]));
  const Vec scale = Set(1.0f / __builtin_sqrtf(sum / static_cast<float>(dim) + norm.epsilon));
  for (i = 0; i < dim; i += kLanes) {
    const int n = dim - i < kLanes ? static_cast<int>(dim - i) : kLanes;
    const Vec normed = (LoadFirst(x + i, n) - means) * scale;
    StoreFirst(y + i, Finish(normed, norm, residual, i, n), n);
  }
}

struct Silu {
  static Vec Of(Vec gate, Vec up) { return gate / (Set(1.0f) + Exp(-gate)) * up; }
};

// (1 + tanh(z)) / 2 = 1 / (1 + exp(-2 z)), which does not cancel where z is far below 0.
struct GeluTanh {
  static Vec Of(Vec gate, Vec up) {
    const Vec factor = Fma(gate * gate, Set(-0x1.2444f2p-4f), Set(-0x1.988454p+0f));
    return gate / (Set(1.0f) + Exp(gate * factor)) * up;
  }
};

struct SwigluClamped {
  static Vec Of(Vec gate, Vec up) {
    const Vec limit = Set(7.0f);
    const Vec g = Min(limit, gate);  // NaN stays: it is the second operand
    const Vec u = Max(-limit, Min(limit, up));
    return g / (Set(1.0f) + Exp(Set(-1.702f) * g)) * (u + Set(1.0f));
  }
};

struct ReluSquared {
  static Vec Of(Vec gate, Vec up) {
    const Vec g = Max(Set(0.0f), gate);  // NaN stays: it is the second operand
    return g * g * up;
  }
};

struct SigmoidGate {
  static Vec Of(Vec gate, Vec up) { return up / (Set(1.0f) + Exp(-gate)); }
};

template <typename Gate>
void Activate(const float* gate, const float* up, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(y + i, Gate::Of(Load(gate + i), Load(up + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    StoreFirst(y + i, Gate::Of(LoadFirst(gate + i, rest), LoadFirst(up + i, rest)), rest);
  }
}

void SoftCap(const float* x, float* y, int64_t n, float cap) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) Store(y + i, SoftCap(Load(x + i), Set(cap)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    StoreFirst(y + i, SoftCap(LoadFirst(x + i, rest), Set(cap)), rest);
  }
}

void Exponentials(const float* x, float shift, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int part = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    StoreFirst(y + i, Exp(LoadFirst(x + i, part) - Set(shift)), part);
  }
}

void GroupMaxima(const float* x, int64_t n, int64_t group, float* maxima) {
  for (; n > 0; x += group, n -= group, ++maxima) {
    const int64_t end = n < group ? n : group;
    Vec greatest = Set(-__builtin_inff());
    int64_t i = 0;
    for (; i + kLanes <= end; i += kLanes) greatest = Max(Load(x + i), greatest);
    float of_rest = -__builtin_inff();
    for (; i < end; ++i) of_rest = x[i] > of_rest ? x[i] : of_rest;
    const float of_lanes = MaxOfLanes(greatest);
    *maxima = of_rest > of_lanes ? of_rest : of_lanes;
  }
}

void CombineExperts(const CombineExpertsRow& row) {
  float shared_weight = 1.0f;
  if (row.shared_gate != nullptr) shared_weight = 1.0f / (1.0f + Exp(-*row.shared_gate));
  for (int64_t d = 0; d < row.dim; d += kLanes) {
    const int n = row.dim - d < kLanes ? static_cast<int>(row.dim - d) : kLanes;
    Vec sum = {};
    for (int k = 0; k < row.n_used; ++k)
      sum = Fma(Set(row.weights[k]), LoadFirst(row.x + k * row.dim + d, n), sum);
    if (row.shared != nullptr) sum = Fma(Set(shared_weight), LoadFirst(row.shared + d, n), sum);
    if (row.residual != nullptr) sum += LoadFirst(row.residual + d, n);
    StoreFirst(row.y + d, sum, n);
  }
}

void RotateHalves(float* a, float* b, const float* cosines, const float* sines, int64_t n_pairs) {
  for (int64_t i = 0; i < n_pairs; i += kLanes) {
    const int n = n_pairs - i < kLanes ? static_cast<int>(n_pairs - i) : kLanes;
    const Vec x = LoadFirst(a + i, n), y = LoadFirst(b + i, n);
    const Vec c = LoadFirst(cosines + i, n), s = LoadFirst(sines + i, n);
    StoreFirst(a + i, Fma(x, c, -(y * s)), n);
    StoreFirst(b + i, Fma(x, s, y * c), n);
  }
}

void RotateNeighbours(float* x, const float* cosines, const float* sines, int64_t n_pairs) {
  const int64_t n_elements = 2 * n_pairs;
  int64_t i = 0;
  for (; i + kLanes <= n_elements; i += kLanes) {
    const Vec v = Load(x + i);
    Store(x + i, Fma(v, Load(cosines + i), SwapPairs(v) * Load(sines + i)));
  }
  if (i < n_elements) {
    const int n = static_cast<int>(n_elements - i);
    const Vec v = LoadFirst(x + i, n);
    StoreFirst(x + i, Fma(v, LoadFirst(cosines + i, n), SwapPairs(v) * LoadFirst(sines + i, n)), n);
  }
}

void ToHalf(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) StoreHalf(y + i, Load(x + i));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    StoreFirstHalf(y + i, LoadFirst(x + i, rest), rest);
  }
}

void ToBf16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, x[i]);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    y[i] = static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
  }
}

void ToQ8Block(const float* x, int8_t* codes, uint16_t* scale) {
  int32_t max_bits = 0;  // magnitudes of floats order as their bits do
  for (int i = 0; i < 32; ++i) {
    const int32_t bits = __builtin_bit_cast(int32_t, x[i]) & 0x7fffffff;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  const bool is_finite = max_bits < 0x7f800000;
  const float max = __builtin_bit_cast(float, max_bits);
  StoreFirstHalf(scale, Set(is_finite ? max / 127.0f : __builtin_nanf("")), 1);
  const float rounded_scale = HalfAt(scale);
  const bool has_codes = is_finite && rounded_scale > 0.0f;
  const float divisor = has_codes ? rounded_scale : 1.0f;
  for (int i = 0; i < 32; ++i) {
    float quotient = (has_codes ? x[i] : 0.0f) / divisor;
    quotient = quotient > 127.0f ? 127.0f : quotient;
    quotient = quotient < -127.0f ? -127.0f : quotient;
    // Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low mantissa bits.
    codes[i] =
        static_cast<int8_t>(__builtin_bit_cast(int32_t, quotient + 12582912.0f) - 0x4b400000);
  }
}

void ToQ8(const float* x, int8_t* codes, uint16_t* scales, int64_t n) {
  for (int64_t i = 0; i < n; i += 32) ToQ8Block(x + i, codes + i, scales + i / 32);
}

}  // namespace
}  // namespace forge

#include "kernels/cpu/attention_kernel.inl"
#include "kernels/cpu/recurrent_kernels.inl"

namespace forge {
namespace {

constexpr VectorKernels kVectorKernels = {
    .rms_norm = RmsNorm,
    .layer_norm = LayerNorm,
    .gated_activation = {Activate<Silu>, Activate<GeluTanh>, Activate<SwigluClamped>,
                         Activate<ReluSquared>},
    .sigmoid_gate = Activate<SigmoidGate>,
    .soft_cap = SoftCap,
    .exponentials = Exponentials,
    .group_maxima = GroupMaxima,
    .combine_experts = CombineExperts,
    .rotate_halves = RotateHalves,
    .rotate_neighbours = RotateNeighbours,
    .to_half = ToHalf,
    .to_bf16 = ToBf16,
    .to_q8 = ToQ8,
    .convolve = Convolve,
    .normalize = Normalize,
    .state_tokens = RunStateTokens<false>,
    .delta_tokens = RunStateTokens<true>,
    .gated_norm = GatedNorm,
    .attend = {Attend<F16Cache>, Attend<F32Cache>, Attend<Bf16Cache>, Attend<Q8Cache>},
    .merge_partition = MergePartition,
    .finish_row = FinishRow,
};

}  // namespace
}  // namespace forge
