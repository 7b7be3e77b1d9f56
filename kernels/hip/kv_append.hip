#include "kernels/hip/kv_append.h"
#include "kernels/hip/kv_layout.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/wave_reduce.h"

namespace forge {
namespace {

constexpr int kThreads = 256;
constexpr int kChunk = 32;  // adjacent dimensions, one for each of 32 lanes
static_assert(kChunk == kKvBlockElements);

// What one group of lanes stores: a chunk of the key or the value of a token's head.
struct Chunk {
  int token;
  int head;
  int first;  // dimension
  bool is_key;
};

FORGE_DEVICE int ChunksOf(int dim) { return (dim + kChunk - 1) / kChunk; }

FORGE_DEVICE Chunk FindChunk(const KvLayerView& cache, int64_t index) {
  const int key_chunks = ChunksOf(cache.head_dim);
  const int chunks = key_chunks + ChunksOf(cache.value_dim);
  const int within = static_cast<int>(index % chunks);
  const int64_t row = index / chunks;
  return {.token = static_cast<int>(row / cache.n_kv_heads),
          .head = static_cast<int>(row % cache.n_kv_heads),
          .first = kChunk * (within < key_chunks ? within : within - key_chunks),
          .is_key = within < key_chunks};
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

template <KvDType kDType>
__global__ void __launch_bounds__(kThreads) KvAppendKernel(KvAppendArgs args, int64_t n_chunks) {
  const KvLayerView& cache = args.cache;
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kChunk;
  const int lane = static_cast<int>(threadIdx.x) % kChunk;
  const Chunk chunk = FindChunk(cache, index < n_chunks ? index : n_chunks - 1);
  const int dim = chunk.is_key ? cache.head_dim : cache.value_dim;
  const int d = chunk.first + lane;
  const int64_t row = static_cast<int64_t>(chunk.token) * cache.n_kv_heads + chunk.head;
  const float* from = (chunk.is_key ? args.keys : args.values) + row * dim;
  const float value = d < dim ? from[d] : 0.0f;

  const int position = args.batch.positions[chunk.token];
  const int sequence = args.batch.token_sequence[chunk.token];
  const bool is_there = position >= 0 && sequence >= 0 && sequence < args.batch.n_sequences;
  const int block = is_there ? FindKvBlock(args.batch, cache, sequence, position) : -1;
  const bool stores = index < n_chunks && d < dim && block >= 0;
  const KvHeadPlace place = FindKvHead<kDType>(chunk.is_key ? cache.keys : cache.values, cache, dim,
                                               block < 0 ? 0 : block, chunk.head);
  const int64_t at = static_cast<int64_t>(position % cache.block_tokens) * dim + d;
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

template <KvDType kDType>
Status Launch(const KvAppendArgs& args, HipStream& stream) {
  const auto chunks_of = [](int dim) { return (dim + kChunk - 1) / kChunk; };
  const int64_t n_chunks = static_cast<int64_t>(args.batch.n_tokens) * args.cache.n_kv_heads *
                           (chunks_of(args.cache.head_dim) + chunks_of(args.cache.value_dim));
  constexpr int kChunksOfBlock = kThreads / kChunk;
  const auto n_blocks = static_cast<unsigned>((n_chunks + kChunksOfBlock - 1) / kChunksOfBlock);
  return LaunchKernel("kv_append", KvAppendKernel<kDType>, {.grid = n_blocks, .block = kThreads},
                      stream, args, n_chunks);
}

}  // namespace

Status HipKvAppend(const KvAppendArgs& args, Stream& stream) {
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
