#include "kernels/cpu/rope_append.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Pairs whose sines and cosines are computed together; a head rarely has more.
constexpr int kMaxPairs = 128;

// The sines and cosines of a position for some adjacent pairs, in the order that the kernels take.
struct Turn {
  alignas(64) float cosines[2 * kMaxPairs];
  alignas(64) float sines[2 * kMaxPairs];
};

void ComputeTurn(const Rotation& rotation, double position, int first_pair, int n_pairs,
                 Turn& turn) {
  for (int i = 0; i < n_pairs; ++i) {
    const double angle = position * static_cast<double>(rotation.frequencies[first_pair + i]);
    const float cosine = static_cast<float>(std::cos(angle) * static_cast<double>(rotation.scale));
    const float sine = static_cast<float>(std::sin(angle) * static_cast<double>(rotation.scale));
    if (rotation.halves) {
      turn.cosines[i] = cosine;
      turn.sines[i] = sine;
    } else {
      turn.cosines[2 * i] = turn.cosines[2 * i + 1] = cosine;
      turn.sines[2 * i] = -sine;
      turn.sines[2 * i + 1] = sine;
    }
  }
}

// A token's queries or keys: [n_heads, head_dim].
struct Heads {
  float* x;
  int n_heads;
  const float* norm;  // or null
};

void NormHeads(const VectorKernels& kernels, const Heads& heads, const RopeAppendArgs& args) {
  if (heads.norm == nullptr) return;
  const int head_dim = args.cache.head_dim;
  for (int64_t head = 0; head < heads.n_heads; ++head) {
    float* x = heads.x + head * head_dim;
    const float* weight = heads.norm + (args.heads_differ ? head * head_dim : 0);
    NormRow(kernels, x, {weight, nullptr, args.norm_epsilon, args.centres_heads}, nullptr, x,
            head_dim);
  }
}

void TurnHeads(const VectorKernels& kernels, const Rotation& rotation, const Turn& turn,
               int64_t first_pair, int64_t n_pairs, const Heads& heads, int head_dim) {
  for (int64_t head = 0; head < heads.n_heads; ++head) {
    float* x = heads.x + head * head_dim + first_pair * (rotation.halves ? 1 : 2);
    if (rotation.halves) {
      kernels.rotate_halves(x, x + rotation.rotary_dim / 2, turn.cosines, turn.sines, n_pairs);
    } else {
      kernels.rotate_neighbours(x, turn.cosines, turn.sines, n_pairs);
    }
  }
}

void PrepareHeads(const RopeAppendArgs& args, const VectorKernels& kernels, int64_t token) {
  const int head_dim = args.cache.head_dim;
  const int n_kv_heads = args.keys == nullptr ? 0 : args.cache.n_kv_heads;
  const Heads queries = {args.queries + token * args.n_heads * head_dim, args.n_heads,
                         args.query_norm};
  const Heads keys = {args.keys + token * n_kv_heads * head_dim, n_kv_heads, args.key_norm};
  const auto norm_heads = [&] {
    NormHeads(kernels, queries, args);
    NormHeads(kernels, keys, args);
  };
  if (!args.turns_first) norm_heads();
  const int n_pairs = args.rotation.rotary_dim / 2;
  Turn turn;
  for (int first = 0; first < n_pairs; first += kMaxPairs) {
    const int n = std::min(kMaxPairs, n_pairs - first);
    ComputeTurn(args.rotation, args.batch.positions[token], first, n, turn);
    TurnHeads(kernels, args.rotation, turn, first, n, queries, head_dim);
    TurnHeads(kernels, args.rotation, turn, first, n, keys, head_dim);
  }
  if (args.turns_first) norm_heads();
}

// Dimensions of a key that are rounded together before they are scattered.
constexpr int kKeyChunk = 256;
static_assert(kKeyChunk % kKvBlockElements == 0);

void Round(const VectorKernels& kernels, KvDType dtype, const float* x, uint16_t* y, int64_t n) {
  (dtype == KvDType::kBf16 ? kernels.to_bf16 : kernels.to_half)(x, y, n);
}

void StoreKey16(const VectorKernels& kernels, KvDType dtype, const float* key, int head_dim,
                int64_t stride, const CpuKvPlace& place) {
  uint16_t rounded[kKeyChunk];
  auto* to = reinterpret_cast<uint16_t*>(place.elements);
  for (int first = 0; first < head_dim; first += kKeyChunk) {
    const int n = std::min(kKeyChunk, head_dim - first);
    Round(kernels, dtype, key + first, rounded, n);
    for (int d = 0; d < n; ++d) to[(first + d) * stride] = rounded[d];
  }
}

void StoreKeyQ8(const VectorKernels& kernels, const float* key, int head_dim, int64_t stride,
                const CpuKvPlace& place) {
  int8_t codes[kKvBlockElements];
  auto* to = reinterpret_cast<int8_t*>(place.elements);
  for (int first = 0; first < head_dim; first += kKvBlockElements) {
    kernels.to_q8(key + first, codes, place.scales + first / kKvBlockElements * stride,
                  kKvBlockElements);
    for (int d = 0; d < kKvBlockElements; ++d) to[(first + d) * stride] = codes[d];
  }
}

void StoreKey(const VectorKernels& kernels, const KvLayerView& cache, const float* key,
              const CpuKvPlace& place) {
  const int64_t stride = cache.block_tokens;
  if (cache.dtype == KvDType::kF32) {
    auto* to = reinterpret_cast<float*>(place.elements);
    for (int d = 0; d < cache.head_dim; ++d) to[d * stride] = key[d];
  } else if (cache.dtype == KvDType::kQ8_0) {
    StoreKeyQ8(kernels, key, cache.head_dim, stride, place);
  } else {
    StoreKey16(kernels, cache.dtype, key, cache.head_dim, stride, place);
  }
}

void StoreValue(const VectorKernels& kernels, const KvLayerView& cache, const float* value,
                const CpuKvPlace& place) {
  if (cache.dtype == KvDType::kF32) {
    std::memcpy(place.elements, value, static_cast<size_t>(cache.value_dim) * sizeof(float));
  } else if (cache.dtype == KvDType::kQ8_0) {
    kernels.to_q8(value, reinterpret_cast<int8_t*>(place.elements), place.scales, cache.value_dim);
  } else {
    Round(kernels, cache.dtype, value, reinterpret_cast<uint16_t*>(place.elements),
          cache.value_dim);
  }
}

void StoreToken(const RopeAppendArgs& args, const VectorKernels& kernels, int64_t token) {
  const KvLayerView& cache = args.cache;
  const int position = args.batch.positions[token];
  const int64_t sequence = args.batch.token_sequence[token];
  const int64_t entry = position / cache.block_tokens % args.batch.max_blocks;
  const int64_t block = args.batch.block_tables[sequence * args.batch.max_blocks + entry];
  const int64_t offset = position % cache.block_tokens;
  for (int64_t head = 0; head < cache.n_kv_heads; ++head) {
    const int64_t row = token * cache.n_kv_heads + head;
    StoreKey(kernels, cache, args.keys + row * cache.head_dim,
             CpuKeyPlace(cache, block, head, offset));
    if (cache.values_in_keys) continue;
    StoreValue(kernels, cache, args.values + row * cache.value_dim,
               CpuValuePlace(cache, block, head, offset));
  }
}

}  // namespace

Status CpuRopeAppend(const RopeAppendArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  // Appending touches the batch's own positions only: a window of 1.
  FORGE_TRY(CheckBatch(args.batch, args.cache, /*window=*/1).WithContext("rope_append"));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  // A scattered element costs as much as four adjacent ones, a sine and a cosine as some 50.
  const int64_t cost = static_cast<int64_t>(args.cache.n_kv_heads) *
                           (5 * static_cast<int64_t>(args.cache.head_dim) + args.cache.value_dim) +
                       static_cast<int64_t>(args.n_heads) * args.cache.head_dim +
                       25 * static_cast<int64_t>(args.rotation.rotary_dim);
  ParallelRows(cpu.pool(), args.batch.n_tokens, cost, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      PrepareHeads(args, kernels, token);
      if (args.keys != nullptr) StoreToken(args, kernels, token);
    }
  });
  return Status();
}

}  // namespace forge
