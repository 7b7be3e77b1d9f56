#include "kernels/hip/launch.h"
#include "kernels/hip/top_logits.h"

namespace forge {
namespace {

constexpr int kThreads = 512;
constexpr int kDigitBits = 11;
constexpr int kBins = 1 << kDigitBits;
constexpr int kGroupBins = 32;   // bins whose sum is looked at first
constexpr int kMostLeft = 1024;  // candidates that are few enough to be compared with each other

// A number and its column as one key, greater for what comes first: greater numbers, and of equal
// ones lower columns. No two keys of a row are equal. NaN counts as -infinity.
FORGE_DEVICE uint64_t KeyOf(float value, int column) {
  const float number = value == value ? value + 0.0f : -INFINITY;  // + 0: -0 equals 0
  const uint32_t bits = std::bit_cast<uint32_t>(number);
  const uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - static_cast<uint32_t>(column));
}
FORGE_DEVICE int ColumnOf(uint64_t key) {
  return static_cast<int>(0xffffffffu - static_cast<uint32_t>(key));
}

// What a block knows of its row, in shared memory.
struct RowState {
  uint32_t* bins;        // [kBins], keys of each digit
  uint32_t* group_sums;  // [kBins / kGroupBins]
  uint64_t* candidates;  // [kMostLeft]
  uint32_t* n_candidates;
  uint32_t* found;  // the digit, keys of greater digits, keys of this one
};

// In `found`: the digit that the `wanted`-th greatest key has, counted from 1.
FORGE_DEVICE void FindDigit(const RowState& state, uint32_t wanted) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread < kBins / kGroupBins) {
    uint32_t sum = 0;
    for (int i = 0; i < kGroupBins; ++i) sum += state.bins[thread * kGroupBins + i];
    state.group_sums[thread] = sum;
  }
  __syncthreads();
  if (thread == 0) {
    uint32_t above = 0;
    int group = kBins / kGroupBins - 1;
    while (group > 0 && above + state.group_sums[group] < wanted)
      above += state.group_sums[group--];
    int bin = group * kGroupBins + kGroupBins - 1;
    while (bin > group * kGroupBins && above + state.bins[bin] < wanted) above += state.bins[bin--];
    state.found[0] = static_cast<uint32_t>(bin);
    state.found[1] = above;
    state.found[2] = state.bins[bin];
  }
  __syncthreads();
}

// The least key that stays a candidate: those from it on are at least k, and few. Looks at one
// digit of the keys after the other, from the highest, among the keys that have the k-th's digits
// so far.
FORGE_DEVICE uint64_t FindBound(const float* x, int n_cols, int k, const RowState& state) {
  const int thread = static_cast<int>(threadIdx.x);
  uint64_t digits = 0;  // of the k-th key
  uint32_t n_above = 0;
  int shift = 64;
  for (;;) {
    const int above_shift = shift;
    shift = shift > kDigitBits ? shift - kDigitBits : 0;
    for (int i = thread; i < kBins; i += kThreads) state.bins[i] = 0;
    __syncthreads();
    for (int i = thread; i < n_cols; i += kThreads) {
      const uint64_t key = KeyOf(x[i], i);
      if (above_shift < 64 && key >> above_shift != digits) continue;
      const uint64_t digit = (key >> shift) & ((uint64_t{1} << (above_shift - shift)) - 1);
      atomicAdd(&state.bins[digit], 1u);
    }
    __syncthreads();
    FindDigit(state, static_cast<uint32_t>(k) - n_above);
    digits = digits << (above_shift - shift) | state.found[0];
    n_above += state.found[1];
    const uint32_t n_left = n_above + state.found[2];
    __syncthreads();  // the next digit takes the place of this one
    if (n_left <= kMostLeft || shift == 0) return digits << shift;
  }
}

// Writes the k greatest in order: a candidate's place is the number of greater ones.
FORGE_DEVICE void StoreTop(const float* x, int n_cols, uint64_t bound, int k, const RowState& state,
                           float* values, int32_t* columns) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) *state.n_candidates = 0;
  __syncthreads();
  for (int i = thread; i < n_cols; i += kThreads) {
    const uint64_t key = KeyOf(x[i], i);
    if (key >= bound) state.candidates[atomicAdd(state.n_candidates, 1u)] = key;
  }
  __syncthreads();
  const int n = static_cast<int>(*state.n_candidates);
  for (int c = thread; c < n; c += kThreads) {
    const uint64_t key = state.candidates[c];
    int place = 0;
    for (int i = 0; i < n; ++i) place += state.candidates[i] > key ? 1 : 0;
    if (place >= k) continue;
    columns[place] = ColumnOf(key);
    values[place] = x[ColumnOf(key)];
  }
}

// The sum or, of `kIsMax`, the maximum over the block, in every thread. `partial`: [kThreads].
template <bool kIsMax, typename T>
FORGE_DEVICE T Reduce(T value, T* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  partial[thread] = value;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (thread < half) {
      const T other = partial[thread + half];
      if constexpr (kIsMax)
        partial[thread] = partial[thread] < other ? other : partial[thread];
      else
        partial[thread] += other;
    }
    __syncthreads();
  }
  const T result = partial[0];
  __syncthreads();  // the next use may overwrite it
  return result;
}

// In every thread; NaN if a number is NaN, infinite if the greatest is.
FORGE_DEVICE double RowLogSumExp(const float* x, int n_cols, double* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  float greatest = -INFINITY;
  double n_nan = 0.0;
  for (int i = thread; i < n_cols; i += kThreads) {
    greatest = fmaxf(greatest, x[i]);  // of a number and NaN the number
    n_nan += x[i] == x[i] ? 0.0 : 1.0;
  }
  greatest = static_cast<float>(Reduce<true>(static_cast<double>(greatest), partial));
  n_nan = Reduce<false>(n_nan, partial);
  if (n_nan > 0.0) return NAN;
  if (greatest == INFINITY || greatest == -INFINITY) return greatest;
  double sum = 0.0;
  for (int i = thread; i < n_cols; i += kThreads) sum += static_cast<double>(expf(x[i] - greatest));
  return static_cast<double>(greatest) + log(Reduce<false>(sum, partial));
}

// A block for each row.
__global__ void __launch_bounds__(kThreads) TopLogitsKernel(TopLogitsArgs args) {
  FORGE_SHARED(uint32_t, bins, kBins);
  FORGE_SHARED(uint32_t, group_sums, kBins / kGroupBins);
  FORGE_SHARED(uint64_t, candidates, kMostLeft);
  FORGE_SHARED(uint32_t, n_candidates, 1);
  FORGE_SHARED(uint32_t, found, 3);
  FORGE_SHARED(double, partial, kThreads);
  const RowState state = {bins, group_sums, candidates, n_candidates, found};
  const int64_t row = blockIdx.x;
  const float* x = args.x + row * args.n_cols;
  const uint64_t bound = FindBound(x, args.n_cols, args.k, state);
  StoreTop(x, args.n_cols, bound, args.k, state, args.values + row * args.k,
           args.columns + row * args.k);
  const double log_sum_exp = RowLogSumExp(x, args.n_cols, partial);
  if (threadIdx.x == 0) args.log_sum_exp[row] = log_sum_exp;
}

}  // namespace

Status HipTopLogits(const TopLogitsArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_rows == 0) return Status();
  return LaunchKernel("top_logits", TopLogitsKernel,
                      {.grid = static_cast<unsigned>(args.n_rows), .block = kThreads},
                      AsHip(stream), args);
}

}  // namespace forge
