#include "kernels/hip/kv_layout.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/rms_norm_kernel.h"
#include "kernels/hip/rope_append.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {
namespace {

constexpr int kThreads = 64;  // pairs of most heads, and a whole number of waves
constexpr int kChunk = 32;    // adjacent dimensions that 32 lanes store together
static_assert(kChunk == kKvBlockElements);

// Heads of a block where there are many tokens, so that sines and cosines serve several.
constexpr int kMostHeads = 8;
constexpr int kManyTokens = 16;

// The heads of a token in the order that blocks take them: queries, then keys.
struct Head {
  float* x;           // [head_dim]
  const float* norm;  // [head_dim], its own or that of all; or null
  int kv_head;        // of a key, else negative
};

// Of a token: queries, and keys where there are some.
constexpr int CountHeads(const RopeAppendArgs& args) {
  return args.n_heads + (args.keys == nullptr ? 0 : args.cache.n_kv_heads);
}

FORGE_DEVICE Head FindHead(const RopeAppendArgs& args, int64_t token, int index) {
  const int dim = args.cache.head_dim;
  const int kv_head = index - args.n_heads;
  const bool is_query = kv_head < 0;
  const float* norm = is_query ? args.query_norm : args.key_norm;
  if (norm != nullptr && args.heads_differ) norm += (is_query ? index : kv_head) * dim;
  if (is_query) return {args.queries + (token * args.n_heads + index) * dim, norm, kv_head};
  return {args.keys + (token * args.cache.n_kv_heads + kv_head) * dim, norm, kv_head};
}

FORGE_DEVICE float HeadElement(const Head& head, const RowScale& scale, int d) {
  return head.norm == nullptr ? head.x[d] : NormElement(head.x[d], scale, head.norm, nullptr, d);
}

struct Turn {
  float cosine;
  float sine;
};

// The angle less whole quarters of a turn is taken in double, since positions reach a million; what
// is left, at most an eighth of a turn, is a float's work: many GPUs compute double at 1/16 to 1/64
// of its speed, and its sine in some hundred operations. Taylor's polynomials, which are wrong by
// less than 2e-9 there.
FORGE_DEVICE Turn TurnBy(double angle) {
  constexpr double kQuarter = 1.5707963267948966;
  const double quarters = rint(angle * (1.0 / kQuarter));
  const float x = static_cast<float>(fma(-quarters, kQuarter, angle));
  const float xx = x * x;
  const float sine = fmaf(
      x * xx, fmaf(xx, fmaf(xx, fmaf(xx, 1.0f / 362880, -1.0f / 5040), 1.0f / 120), -1.0f / 6), x);
  const float cosine = fmaf(
      xx,
      fmaf(xx, fmaf(xx, fmaf(xx, fmaf(xx, -1.0f / 3628800, 1.0f / 40320), -1.0f / 720), 1.0f / 24),
           -0.5f),
      1.0f);
  const auto quadrant = static_cast<int64_t>(quarters);
  const bool is_crossed = quadrant % 2 != 0;
  const float c = is_crossed ? sine : cosine;
  const float s = is_crossed ? cosine : sine;
  return {((quadrant + 1) & 2) != 0 ? -c : c, (quadrant & 2) != 0 ? -s : s};
}

// What the norms of heads [first, end) of a token go by. All of the block take part.
template <int kWave>
FORGE_DEVICE void MeasureHeads(const RopeAppendArgs& args, int64_t token, int first, int end,
                               float* partial, RowScale* scales) {
  for (int index = first; index < end; ++index) {
    const Head head = FindHead(args, token, index);
    if (head.norm == nullptr) continue;
    const RowScale scale = MeasureRow<kWave, kThreads>(
        head.x, args.cache.head_dim, args.norm_epsilon, args.centres_heads, partial);
    if (threadIdx.x == 0) scales[index - first] = scale;
  }
  __syncthreads();
}

// Normalises the elements from `from` on of heads [first, end) in place.
FORGE_DEVICE void NormHeads(const RopeAppendArgs& args, int64_t token, int first, int end, int from,
                            const RowScale* scales) {
  for (int index = first; index < end; ++index) {
    const Head head = FindHead(args, token, index);
    if (head.norm == nullptr) continue;
    for (int d = from + static_cast<int>(threadIdx.x); d < args.cache.head_dim; d += kThreads)
      head.x[d] = HeadElement(head, scales[index - first], d);
  }
}

// Turns heads [first, end) of a token in place, and normalises them before where norms come first.
// A thread turns the same pair in every head, so that sine and cosine are computed once.
FORGE_DEVICE void TurnHeads(const RopeAppendArgs& args, int64_t token, int first, int end,
                            const RowScale* scales) {
  const Rotation& rotation = args.rotation;
  const int n_pairs = rotation.rotary_dim / 2;
  const int thread = static_cast<int>(threadIdx.x);
  for (int pair = thread; pair < n_pairs; pair += kThreads) {
    const Turn turn = TurnBy(static_cast<double>(args.batch.positions[token]) *
                             static_cast<double>(rotation.frequencies[pair]));
    const float cosine = turn.cosine * rotation.scale;
    const float sine = turn.sine * rotation.scale;
    const int low = rotation.halves ? pair : 2 * pair;
    const int high = rotation.halves ? pair + n_pairs : 2 * pair + 1;
    for (int index = first; index < end; ++index) {
      Head head = FindHead(args, token, index);
      if (args.turns_first) head.norm = nullptr;
      const float a = HeadElement(head, scales[index - first], low);
      const float b = HeadElement(head, scales[index - first], high);
      head.x[low] = a * cosine - b * sine;
      head.x[high] = a * sine + b * cosine;
    }
  }
  if (!args.turns_first) NormHeads(args, token, first, end, rotation.rotary_dim, scales);
}

// All 32 lanes of a chunk take part. The scale is the binary16 next to the greatest magnitude /
// 127, and NaN where a value is not finite.
FORGE_DEVICE void StoreQ8(float value, int lane, int8_t* code, F16* scale) {
  float greatest = fabsf(value);
  int n_bad = greatest < INFINITY ? 0 : 1;
  greatest = WaveMax<kChunk>(greatest);
  n_bad = WaveSum<kChunk>(n_bad);
  const F16 rounded = FloatToHalf(n_bad == 0 ? greatest / 127.0f : NAN);
  const float divisor = HalfToFloat(rounded);
  float quotient = n_bad != 0 || divisor == 0.0f ? 0.0f : rintf(value / divisor);
  quotient = quotient > 127.0f ? 127.0f : quotient < -127.0f ? -127.0f : quotient;
  if (code == nullptr) return;
  *code = static_cast<int8_t>(quotient);
  if (lane == 0) *scale = rounded;
}

// Stores a token's key or value of a head, if the cache has a place for it. All of the block take
// part.
template <KvDType kDType>
FORGE_DEVICE void StoreHead(const RopeAppendArgs& args, int64_t token, int head, const float* from,
                            void* data, int dim) {
  const KvLayerView& cache = args.cache;
  const int position = args.batch.positions[token];
  const int sequence = args.batch.token_sequence[token];
  const bool is_there = position >= 0 && sequence >= 0 && sequence < args.batch.n_sequences;
  const int block = is_there ? FindKvBlock(args.batch, cache, sequence, position) : -1;
  const KvHeadPlace place = FindKvHead<kDType>(data, cache, dim, block < 0 ? 0 : block, head);
  const int64_t row = static_cast<int64_t>(position % cache.block_tokens) * dim;
  const int lane = static_cast<int>(threadIdx.x) % kChunk;
  for (int base = 0; base < dim; base += kThreads) {  // whole blocks, for the shuffles
    const int d = base + static_cast<int>(threadIdx.x);
    const bool stores = d < dim && block >= 0;
    const float value = d < dim ? from[d] : 0.0f;
    const int64_t at = row + d;
    if constexpr (kDType == KvDType::kQ8_0) {
      StoreQ8(value, lane, stores ? reinterpret_cast<int8_t*>(place.elements) + at : nullptr,
              place.scales + at / kKvBlockElements);
    } else if (stores) {
      if constexpr (kDType == KvDType::kF32) reinterpret_cast<float*>(place.elements)[at] = value;
      if constexpr (kDType == KvDType::kF16)
        reinterpret_cast<F16*>(place.elements)[at] = FloatToHalf(value);
      if constexpr (kDType == KvDType::kBf16)
        reinterpret_cast<Bf16*>(place.elements)[at] = ToBf16(value);
    }
  }
}

// A block for each token and `heads_of_block` of its heads.
template <KvDType kDType, int kWave>
__global__ void __launch_bounds__(kThreads)
    RopeAppendKernel(RopeAppendArgs args, int heads_of_block, int blocks_of_token) {
  FORGE_SHARED(float, partial, kThreads / kWave);
  FORGE_SHARED(RowScale, scales, kMostHeads);
  const int64_t token = blockIdx.x / static_cast<unsigned>(blocks_of_token);
  const int first = static_cast<int>(blockIdx.x) % blocks_of_token * heads_of_block;
  const int n_heads = CountHeads(args);
  const int end = first + heads_of_block < n_heads ? first + heads_of_block : n_heads;
  const int head_dim = args.cache.head_dim;
  if (!args.turns_first) MeasureHeads<kWave>(args, token, first, end, partial, scales);
  TurnHeads(args, token, first, end, scales);
  __syncthreads();  // others store, or normalise, what one thread turned
  if (args.turns_first) {
    MeasureHeads<kWave>(args, token, first, end, partial, scales);
    NormHeads(args, token, first, end, 0, scales);
    __syncthreads();
  }
  for (int index = first; index < end; ++index) {
    const Head head = FindHead(args, token, index);
    if (head.kv_head < 0) continue;
    StoreHead<kDType>(args, token, head.kv_head, head.x, args.cache.keys, head_dim);
    if (args.cache.values_in_keys) continue;
    const int value_dim = args.cache.value_dim;
    const int64_t row = token * args.cache.n_kv_heads + head.kv_head;
    StoreHead<kDType>(args, token, head.kv_head, args.values + row * value_dim, args.cache.values,
                      value_dim);
  }
}

template <KvDType kDType>
Status Launch(const RopeAppendArgs& args, HipStream& stream) {
  const int heads_of_block = args.batch.n_tokens < kManyTokens ? 1 : kMostHeads;
  const int n_heads = CountHeads(args);
  const int blocks_of_token = (n_heads + heads_of_block - 1) / heads_of_block;
  const int64_t n_blocks = static_cast<int64_t>(args.batch.n_tokens) * blocks_of_token;
  if (n_blocks > INT32_MAX)
    return InvalidArgument("rope_append: tokens times heads are too many for one launch: blocks " +
                           std::to_string(n_blocks));
  const bool is_wide = stream.wave_size() == 64;
  return LaunchKernel("rope_append",
                      is_wide ? RopeAppendKernel<kDType, 64> : RopeAppendKernel<kDType, 32>,
                      {.grid = static_cast<unsigned>(n_blocks), .block = kThreads}, stream, args,
                      heads_of_block, blocks_of_token);
}

}  // namespace

Status HipRopeAppend(const RopeAppendArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  HipStream& hip = AsHip(stream);
  switch (args.cache.dtype) {
    case KvDType::kF32:
      return Launch<KvDType::kF32>(args, hip);
    case KvDType::kF16:
      return Launch<KvDType::kF16>(args, hip);
    case KvDType::kBf16:
      return Launch<KvDType::kBf16>(args, hip);
    case KvDType::kQ8_0:
      return Launch<KvDType::kQ8_0>(args, hip);
  }
  return Status();
}

}  // namespace forge
