#include <string>

#include "kernels/hip/delta_rule.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/state_slots.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {
namespace {

// Threads that share a column of the state: thread i has rows i % kParts, and every kParts-th after
// it, of column i / kParts, in registers from the first token to the last.
constexpr int kParts = 4;

constexpr float kKeyEpsilon = 1e-6f;

// The sum of squares of x[0, n), in every lane of the wave.
template <int kWave>
FORGE_DEVICE float WaveSquares(const float* x, int n) {
  float squares = 0.0f;
  for (int i = static_cast<int>(threadIdx.x) % kWave; i < n; i += kWave)
    squares = fmaf(x[i], x[i], squares);
  return WaveSum<kWave>(squares);
}

// y = x * scale / |x|, filled up with zeros to kDim. A wave's work.
template <int kWave, int kDim>
FORGE_DEVICE void NormalizeHead(const float* x, int n, float scale, float* y) {
  const float factor = scale / sqrtf(WaveSquares<kWave>(x, n) + kKeyEpsilon);
  for (int i = static_cast<int>(threadIdx.x) % kWave; i < kDim; i += kWave)
    y[i] = i < n ? x[i] * factor : 0.0f;
}

// What the threads of a block share of a token.
struct SharedToken {
  float* key;     // [kDim]
  float* query;   // [kDim]
  float* scales;  // what the state is multiplied by, and the part of the difference that is learnt
  float* answer;  // [kDim], S^T q
};

// The first wave takes the key, the second the query, the last thread the numbers.
template <int kWave, int kDim>
FORGE_DEVICE void ReadToken(const DeltaRuleArgs& args, int64_t token, int head,
                            const SharedToken& shared) {
  const int dim = args.head_dim, n_keys = args.n_key_heads;
  const int key_head =
      args.spreads_key_heads ? head / (args.n_value_heads / n_keys) : head % n_keys;
  const float* row = args.qkv + token * (2 * n_keys + args.n_value_heads) * dim;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread / kWave == 0)
    NormalizeHead<kWave, kDim>(row + (n_keys + key_head) * dim, dim, 1.0f, shared.key);
  if (thread / kWave == 1)
    NormalizeHead<kWave, kDim>(row + key_head * dim, dim, 1.0f / sqrtf(static_cast<float>(dim)),
                               shared.query);
  if (thread == kParts * kDim - 1) {
    const int64_t at = token * args.n_value_heads + head;
    const float rise = args.alpha[at] + args.alpha_bias[head];
    const float softplus = rise > 20.0f ? rise : log1pf(expf(rise));
    shared.scales[0] = expf(args.decay[head] * softplus);
    shared.scales[1] = 1.0f / (1.0f + expf(-args.beta[at]));
  }
}

// A sum over a column's rows from those of the threads that share it, in each of them.
FORGE_DEVICE float SumOfParts(float value) { return WaveSum<kParts>(value); }

// Learns the token's value, and returns this thread's element of S^T q.
template <int kRows>
FORGE_DEVICE float Learn(float (&rows)[kRows], int part, float value, const SharedToken& shared) {
  float recalled = 0.0f;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i) recalled = fmaf(rows[i], shared.key[i * kParts + part], recalled);
  const float decay = shared.scales[0];
  const float change = shared.scales[1] * (value - decay * SumOfParts(recalled));
  float answer = 0.0f;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    rows[i] = fmaf(shared.key[i * kParts + part], change, decay * rows[i]);
    answer = fmaf(rows[i], shared.query[i * kParts + part], answer);
  }
  return SumOfParts(answer);
}

// Of one head, [head_dim of keys, head_dim of values]. `column` is one that there is, or `at` null.
template <int kRows>
FORGE_DEVICE void StoreRows(const float (&rows)[kRows], int part, int column, int dim, float* at) {
  if (at == nullptr || column >= dim) return;
  float* const first = at + part * dim + column;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i)
    if (i * kParts < dim - part) first[i * kParts * dim] = rows[i];
}

template <int kRows>
FORGE_DEVICE void LoadRows(float (&rows)[kRows], int part, int column, int dim, const float* at) {
  const int n_rows = at == nullptr || column >= dim ? 0 : dim - part;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i)
    rows[i] = i * kParts < n_rows ? at[(i * kParts + part) * dim + column] : 0.0f;
}

// The gated norm of a token's answer. Each wave sums the squares of all by itself.
template <int kWave>
FORGE_DEVICE void StoreAnswer(const DeltaRuleArgs& args, int64_t token, int head,
                              const float* answer, bool is_valid) {
  const int thread = static_cast<int>(threadIdx.x), dim = args.head_dim;
  const float mean = WaveSquares<kWave>(answer, dim) / static_cast<float>(dim);
  if (thread >= dim) return;
  const int64_t at = (token * args.n_value_heads + head) * dim + thread;
  const float gate = args.gate[at];
  const float normed =
      answer[thread] * (1.0f / sqrtf(mean + args.epsilon)) * args.norm_weight[thread];
  args.y[at] = is_valid ? gate / (1.0f + expf(-gate)) * normed : NAN;
}

// A block for each value head of each sequence, whose head_dim is at most kDim. What the heads have
// less is filled up with zeros, which stay zeros.
template <int kDim, int kWave>
__global__ void __launch_bounds__(kParts* kDim) DeltaRuleKernel(DeltaRuleArgs args) {
  static_assert(kParts * kDim >= 2 * kWave);
  constexpr int kRows = kDim / kParts;
  FORGE_SHARED(float, key, kDim);
  FORGE_SHARED(float, query, kDim);
  FORGE_SHARED(float, scales, 2);
  FORGE_SHARED(float, answer, kDim);
  const SharedToken shared = {key, query, scales, answer};
  const int sequence = static_cast<int>(blockIdx.x) / args.n_value_heads;
  const int head = static_cast<int>(blockIdx.x) % args.n_value_heads;
  const int column = static_cast<int>(threadIdx.x) / kParts;
  const int part = static_cast<int>(threadIdx.x) % kParts;
  const int dim = args.head_dim;
  const SequenceStates states = FindStates(args.batch, args.state, sequence);
  const int64_t head_at = static_cast<int64_t>(head) * dim * dim;
  float rows[kRows];
  LoadRows(rows, part, column, dim, states.from == nullptr ? nullptr : states.from + head_at);
  // Up to where the state is kept, and to the end: with its one place behind the loop, what storing
  // needs takes no registers from the loop.
  int token = states.begin;
  FORGE_NO_UNROLL
  for (int stretch = 0; stretch < 2; ++stretch) {
    const int end = stretch == 0 ? states.begin + states.kept_after : states.end;
    for (; token < end; ++token) {
      ReadToken<kWave, kDim>(args, token, head, shared);
      const int64_t n_heads = 2 * args.n_key_heads + args.n_value_heads;
      const int64_t value_head = token * n_heads + 2 * args.n_key_heads + head;
      const float value = column < dim ? args.qkv[value_head * dim + column] : 0.0f;
      __syncthreads();
      const float sum = Learn(rows, part, value, shared);
      if (part == 0) answer[column] = sum;
      __syncthreads();  // the answer is whole, and the key and the query were read
      // No wave writes the next answer before all have passed the next token's first barrier.
      StoreAnswer<kWave>(args, token, head, answer, states.is_valid);
    }
    float* const state = stretch == 0 ? states.kept : states.begin < end ? states.to : nullptr;
    StoreRows(rows, part, column, dim, state == nullptr ? nullptr : state + head_at);
  }
}

template <int kDim>
Status Launch(const DeltaRuleArgs& args, HipStream& stream) {
  const int64_t n_blocks = int64_t{args.batch.n_sequences} * args.n_value_heads;
  if (n_blocks > INT32_MAX)
    return InvalidArgument("delta_rule: sequences times heads are too many for one launch: " +
                           std::to_string(n_blocks));
  return LaunchKernel(
      "delta_rule",
      stream.wave_size() == 64 ? DeltaRuleKernel<kDim, 64> : DeltaRuleKernel<kDim, 32>,
      {.grid = static_cast<unsigned>(n_blocks), .block = kParts * kDim}, stream, args);
}

}  // namespace

Status HipDeltaRule(const DeltaRuleArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  static_assert(kMaxDeltaHeadDim == 128);
  if (args.head_dim <= 32) return Launch<32>(args, hip);
  if (args.head_dim <= 64) return Launch<64>(args, hip);
  return Launch<128>(args, hip);
}

}  // namespace forge
