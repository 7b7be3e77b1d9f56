#include "kernels/cpu/kv_append.h"

#include <cstring>

#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Dimensions of a key that are rounded together before they are scattered.
constexpr int kKeyChunk = 256;

void StoreKey(const VectorKernels& kernels, const float* key, int head_dim, int64_t stride,
              uint16_t* to) {
  uint16_t halves[kKeyChunk];
  for (int first = 0; first < head_dim; first += kKeyChunk) {
    const int n = head_dim - first < kKeyChunk ? head_dim - first : kKeyChunk;
    kernels.to_half(key + first, halves, n);
    for (int d = 0; d < n; ++d) to[(first + d) * stride] = halves[d];
  }
}

void StoreKey(const VectorKernels&, const float* key, int head_dim, int64_t stride, float* to) {
  for (int d = 0; d < head_dim; ++d) to[d * stride] = key[d];
}

void StoreValue(const VectorKernels& kernels, const float* value, int value_dim, uint16_t* to) {
  kernels.to_half(value, to, value_dim);
}

void StoreValue(const VectorKernels&, const float* value, int value_dim, float* to) {
  std::memcpy(to, value, static_cast<size_t>(value_dim) * sizeof(float));
}

template <typename Element>
void StoreToken(const KvAppendArgs& args, const VectorKernels& kernels, int64_t token) {
  const KvLayerView& cache = args.cache;
  const int position = args.batch.positions[token];
  const int64_t sequence = args.batch.token_sequence[token];
  const int64_t entry = position / cache.block_tokens % args.batch.max_blocks;
  const int64_t block = args.batch.block_tables[sequence * args.batch.max_blocks + entry];
  const int64_t offset = position % cache.block_tokens;
  for (int64_t head = 0; head < cache.n_kv_heads; ++head) {
    const int64_t row = token * cache.n_kv_heads + head;
    StoreKey(kernels, args.keys + row * cache.head_dim, cache.head_dim, cache.block_tokens,
             static_cast<Element*>(cache.keys) + CpuKeyIndex(cache, block, head, offset));
    StoreValue(kernels, args.values + row * cache.value_dim, cache.value_dim,
               static_cast<Element*>(cache.values) + CpuValueIndex(cache, block, head, offset));
  }
}

}  // namespace

Status CpuKvAppend(const KvAppendArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.batch.n_tokens == 0) return Status();
  // Appending touches the batch's own positions only: a window of 1.
  FORGE_TRY(CheckBatch(args.batch, args.cache, /*window=*/1).WithContext("kv_append"));
  CpuStream& cpu = AsCpu(stream);
  const VectorKernels& kernels = VectorKernelsFor(cpu.level());
  const bool is_f32 = args.cache.dtype == KvDType::kF32;
  // A scattered element costs as much as four adjacent ones.
  const int64_t cost = static_cast<int64_t>(args.cache.n_kv_heads) *
                       (4 * static_cast<int64_t>(args.cache.head_dim) + args.cache.value_dim);
  ParallelRows(cpu.pool(), args.batch.n_tokens, cost, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      if (is_f32) {
        StoreToken<float>(args, kernels, token);
      } else {
        StoreToken<uint16_t>(args, kernels, token);
      }
    }
  });
  return Status();
}

}  // namespace forge
