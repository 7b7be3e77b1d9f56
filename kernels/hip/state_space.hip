#include <string>

#include "kernels/hip/launch.h"
#include "kernels/hip/state_slots.h"
#include "kernels/hip/state_space.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {
namespace {

// Threads that share a column of the state: thread i has rows i % kParts, and every kParts-th after
// it, of column i / kParts, in registers from the first token to the last.
constexpr int kParts = 4;

// What the threads of a block share of a token.
struct SharedToken {
  float* b;       // [kStates], filled up with zeros, as c
  float* c;       // [kStates]
  float* scales;  // what the state is multiplied by, and the step
};

template <int kStates, int kColumns>
FORGE_DEVICE void ReadToken(const StateSpaceArgs& args, int64_t token, int head,
                            const SharedToken& shared) {
  const int thread = static_cast<int>(threadIdx.x), n = args.state_dim;
  const int n_x = args.n_heads * args.head_dim;
  const int group = head / (args.n_heads / args.n_groups);
  const float* const row = args.xbc + token * (n_x + 2 * args.n_groups * n);
  const float* const b = row + n_x + group * n;
  const float* const c = b + args.n_groups * n;
  for (int i = thread; i < kStates; i += kParts * kColumns) {
    shared.b[i] = i < n ? b[i] : 0.0f;
    shared.c[i] = i < n ? c[i] : 0.0f;
  }
  if (thread != kParts * kColumns - 1) return;
  const float raw = args.step[token * args.n_heads + head] + args.step_bias[head];
  const float step = raw > 20.0f ? raw : log1pf(expf(raw));
  shared.scales[0] = expf(args.decay[head] * step);
  shared.scales[1] = step;
}

// Learns the token's x, and returns this thread's element of S^T C.
template <int kRows>
FORGE_DEVICE float Learn(float (&rows)[kRows], int part, float x, const SharedToken& shared) {
  const float decay = shared.scales[0], change = shared.scales[1] * x;
  float answer = 0.0f;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    rows[i] = fmaf(shared.b[i * kParts + part], change, decay * rows[i]);
    answer = fmaf(rows[i], shared.c[i * kParts + part], answer);
  }
  return WaveSum<kParts>(answer);
}

// Of one head, [state_dim, head_dim].
template <int kRows>
FORGE_DEVICE void StoreRows(const float (&rows)[kRows], int part, int column,
                            const StateSpaceArgs& args, float* at) {
  if (at == nullptr || column >= args.head_dim) return;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i)
    if (i * kParts + part < args.state_dim)
      at[(i * kParts + part) * args.head_dim + column] = rows[i];
}

template <int kRows>
FORGE_DEVICE void LoadRows(float (&rows)[kRows], int part, int column, const StateSpaceArgs& args,
                           const float* at) {
  const int n_rows = at == nullptr || column >= args.head_dim ? 0 : args.state_dim - part;
  FORGE_UNROLL
  for (int i = 0; i < kRows; ++i)
    rows[i] = i * kParts < n_rows ? at[(i * kParts + part) * args.head_dim + column] : 0.0f;
}

// A block for each head of each sequence, whose state has at most kStates rows and kColumns
// columns. What there is less is filled up with zeros, which stay zeros.
template <int kStates, int kColumns>
__global__ void __launch_bounds__(kParts* kColumns) StateSpaceKernel(StateSpaceArgs args) {
  constexpr int kRows = kStates / kParts;
  FORGE_SHARED(float, b, kStates);
  FORGE_SHARED(float, c, kStates);
  FORGE_SHARED(float, scales, 2);
  const SharedToken shared = {b, c, scales};
  const int sequence = static_cast<int>(blockIdx.x) / args.n_heads;
  const int head = static_cast<int>(blockIdx.x) % args.n_heads;
  const int column = static_cast<int>(threadIdx.x) / kParts;
  const int part = static_cast<int>(threadIdx.x) % kParts;
  const int dim = args.head_dim;
  const int64_t row_elements =
      static_cast<int64_t>(args.n_heads) * dim + 2 * args.n_groups * args.state_dim;
  const SequenceStates states = FindStates(args.batch, args.state, sequence);
  const int64_t head_at = static_cast<int64_t>(head) * args.state_dim * dim;
  float rows[kRows];
  LoadRows(rows, part, column, args, states.from == nullptr ? nullptr : states.from + head_at);
  // Up to where the state is kept, and to the end, with one place for what storing needs.
  int token = states.begin;
  FORGE_NO_UNROLL
  for (int stretch = 0; stretch < 2; ++stretch) {
    const int end = stretch == 0 ? states.begin + states.kept_after : states.end;
    for (; token < end; ++token) {
      ReadToken<kStates, kColumns>(args, token, head, shared);
      const float x = column < dim ? args.xbc[token * row_elements + head * dim + column] : 0.0f;
      __syncthreads();
      const float sum = Learn(rows, part, x, shared);
      __syncthreads();  // b, c and the scales were read
      if (part != 0 || column >= dim) continue;
      const int64_t at = (static_cast<int64_t>(token) * args.n_heads + head) * dim + column;
      const float gate = args.gate[at];
      const float answer = sum + args.skip[head] * x;
      args.y[at] = states.is_valid ? gate / (1.0f + expf(-gate)) * answer : NAN;
    }
    float* const state = stretch == 0 ? states.kept : states.begin < end ? states.to : nullptr;
    StoreRows(rows, part, column, args, state == nullptr ? nullptr : state + head_at);
  }
}

template <int kStates, int kColumns>
Status Launch(const StateSpaceArgs& args, HipStream& stream) {
  const int64_t n_blocks = int64_t{args.batch.n_sequences} * args.n_heads;
  if (n_blocks > INT32_MAX)
    return InvalidArgument("state_space: sequences times heads are too many for one launch: " +
                           std::to_string(n_blocks));
  return LaunchKernel("state_space", StateSpaceKernel<kStates, kColumns>,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kParts * kColumns}, stream,
                      args);
}

}  // namespace

Status HipStateSpace(const StateSpaceArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  static_assert(kMaxStateDim == 256 && kMaxStateHeadDim == 128);
  const bool is_narrow = args.head_dim <= 64;
  if (args.state_dim <= 128)
    return is_narrow ? Launch<128, 64>(args, hip) : Launch<128, 128>(args, hip);
  return is_narrow ? Launch<256, 64>(args, hip) : Launch<256, 128>(args, hip);
}

}  // namespace forge
