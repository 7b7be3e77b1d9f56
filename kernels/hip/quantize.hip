#include "kernels/hip/launch.h"
#include "kernels/hip/quantize.h"
#include "kernels/hip/rms_norm_kernel.h"

namespace forge {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 8;  // that share a part
constexpr int kValues = 4;

FORGE_DEVICE int PackBytes(const int (&bytes)[kValues]) {
  return static_cast<int>(
      (static_cast<uint32_t>(bytes[0]) & 255) | (static_cast<uint32_t>(bytes[1]) & 255) << 8 |
      (static_cast<uint32_t>(bytes[2]) & 255) << 16 | static_cast<uint32_t>(bytes[3]) << 24);
}

// The nearest integer, ties to even: adding 1.5 * 2^23 leaves it in the low mantissa bits.
FORGE_DEVICE int RoundToInt(float value) {
  return std::bit_cast<int>(value + 12582912.0f) - 0x4b400000;
}

// Rounds a part, of which each of eight lanes has four columns, and stores it if it is there: all
// of a wave must reach the shuffles. `part` counts those of all tokens.
FORGE_DEVICE void QuantizePart(const float (&values)[kValues], int64_t part, int lane,
                               bool is_there, bool needs_digits, const QuantizedActivations& out) {
  float greatest = 0.0f;
  bool is_finite = true;
  FORGE_UNROLL
  for (int i = 0; i < kValues; ++i) {
    const float magnitude = fabsf(values[i]);
    is_finite = is_finite && magnitude < INFINITY;  // false for NaN
    greatest = fmaxf(greatest, magnitude);
  }
  FORGE_UNROLL
  for (int mask = 1; mask < kLanes; mask *= 2)
    greatest = fmaxf(greatest, ShuffleXor<kLanes>(greatest, mask));
  int n_bad = is_finite ? 0 : 1;
  FORGE_UNROLL
  for (int mask = 1; mask < kLanes; mask *= 2) n_bad += ShuffleXor<kLanes>(n_bad, mask);
  is_finite = n_bad == 0;
  const bool is_zero = greatest < 1e-30f;  // below, 127 / greatest could overflow
  const float inverse = is_finite && !is_zero ? 127.0f / greatest : 0.0f;
  int codes[kValues], digits[kValues];
  int sum = 0;
  FORGE_UNROLL
  for (int i = 0; i < kValues; ++i) {
    const float scaled = (is_finite ? values[i] : 0.0f) * inverse;
    codes[i] = RoundToInt(scaled);
    digits[i] = RoundToInt((scaled - static_cast<float>(codes[i])) * 254.0f);
    sum += codes[i];
  }
  sum += ShuffleXor<kLanes>(sum, 1);
  sum += ShuffleXor<kLanes>(sum, 2);
  const int other_sum = ShuffleXor<kLanes>(sum, 4);
  if (!is_there) return;
  const int64_t word = kLanes * part + lane;
  reinterpret_cast<int*>(out.codes)[word] = PackBytes(codes);
  if (needs_digits) reinterpret_cast<int*>(out.digits)[word] = PackBytes(digits);
  if (lane != 0) return;
  out.scales[part] = is_finite ? (is_zero ? 0.0f : greatest / 127.0f) : NAN;
  out.sums[part] = static_cast<int>((static_cast<uint32_t>(sum) & 0xffff) |
                                    static_cast<uint32_t>(other_sum) << 16);
}

// n_parts counts those of all tokens. Lanes beyond the end repeat the last.
__global__ void __launch_bounds__(kThreads)
    QuantizeKernel(const float* __restrict__ x, int64_t n_parts, bool needs_digits,
                   QuantizedActivations out) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int lane = static_cast<int>(thread % kLanes);
  const bool is_there = thread / kLanes < n_parts;
  const int64_t part = is_there ? thread / kLanes : n_parts - 1;
  float values[kValues];
  FORGE_UNROLL
  for (int i = 0; i < kValues; ++i) values[i] = x[32 * part + kValues * lane + i];
  QuantizePart(values, part, lane, is_there, needs_digits, out);
}

// A block for each token.
template <int kWave>
__global__ void __launch_bounds__(kNormThreads)
    NormQuantizeKernel(const float* __restrict__ x, InputNorm norm, int n_cols, bool needs_digits,
                       QuantizedActivations out) {
  FORGE_SHARED(float, partial, kNormThreads / kWave);
  const int64_t token = blockIdx.x;
  const float* row = x + token * n_cols;
  const RowScale scale =
      MeasureRow<kWave, kNormThreads>(row, n_cols, norm.epsilon, norm.is_centred, partial);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kLanes;
  const int n_parts = n_cols / 32;
  for (int base = 0; base < n_parts; base += kNormThreads / kLanes) {
    const bool is_there = base + thread / kLanes < n_parts;
    const int part = is_there ? base + thread / kLanes : n_parts - 1;
    float values[kValues];
    FORGE_UNROLL
    for (int i = 0; i < kValues; ++i) {
      const int col = 32 * part + kValues * lane + i;
      values[i] = NormElement(row[col], scale, norm.weight, norm.bias, col);
    }
    QuantizePart(values, token * n_parts + part, lane, is_there, needs_digits, out);
  }
}

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

uint64_t QuantizedActivationBytes(int n_tokens, int64_t n_cols) {
  if (n_tokens <= 0 || n_cols <= 0) return 0;
  const auto n_parts =
      static_cast<uint64_t>(n_tokens) * ((static_cast<uint64_t>(n_cols) + 31) / 32);
  return 2 * AlignUp(32 * n_parts) + 2 * AlignUp(4 * n_parts);
}

QuantizedActivations PlaceQuantizedActivations(void* data, int n_tokens, int64_t n_cols) {
  const auto n_parts = static_cast<uint64_t>(n_tokens) * (static_cast<uint64_t>(n_cols) / 32);
  auto* codes = static_cast<std::byte*>(data);
  std::byte* scales = codes + AlignUp(32 * n_parts);
  std::byte* sums = scales + AlignUp(4 * n_parts);
  return {.codes = reinterpret_cast<int8_t*>(codes),
          .digits = reinterpret_cast<int8_t*>(sums + AlignUp(4 * n_parts)),
          .scales = reinterpret_cast<float*>(scales),
          .sums = reinterpret_cast<int32_t*>(sums)};
}

Status QuantizeActivations(const float* x, const InputNorm& norm, int n_tokens, int64_t n_cols,
                           bool needs_digits, const QuantizedActivations& activations,
                           HipStream& stream) {
  if (norm.weight != nullptr)
    return LaunchKernel("norm_quantize",
                        stream.wave_size() == 64 ? NormQuantizeKernel<64> : NormQuantizeKernel<32>,
                        {.grid = static_cast<unsigned>(n_tokens), .block = kNormThreads}, stream, x,
                        norm, static_cast<int>(n_cols), needs_digits, activations);
  const int64_t n_parts = n_tokens * (n_cols / 32);
  const int64_t n_blocks = (n_parts * kLanes + kThreads - 1) / kThreads;
  return LaunchKernel("quantize", QuantizeKernel,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kThreads}, stream, x,
                      n_parts, needs_digits, activations);
}

}  // namespace forge
