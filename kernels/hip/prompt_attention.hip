#include "kernels/hip/launch.h"
#include "kernels/hip/prompt_attention_kernel.h"

namespace forge {
namespace {

template <KvDType kDType, int kChunks>
Status LaunchByWave(const AttentionLaunch& launch, HipStream& stream) {
  using Element = std::conditional_t<kDType == KvDType::kF16, F16, Bf16>;
  auto* kernel = PromptAttentionKernel<kDType, kChunks, 32>;
#if !defined(FORGE_GPU_CUDA)
  if (stream.wave_size() == 64) kernel = PromptAttentionKernel<kDType, kChunks, 64>;
#endif
  const KvLayerView& cache = launch.args.cache;
  const int n_tiles = (launch.args.batch.n_tokens + launch.tile_tokens - 1) / launch.tile_tokens;
  return LaunchKernel(
      "prompt_attention", kernel,
      {.grid = dim3(static_cast<unsigned>(n_tiles),
                    static_cast<unsigned>(cache.n_kv_heads * launch.head_groups)),
       .block = kAttentionThreads,
       .shared_bytes = sizeof(Element) * PromptQueryElements<Element>(cache.head_dim)},
      stream, launch);
}

}  // namespace

bool CanAttendPrompt(const AttentionArgs& args, const HipStream& stream) {
  const KvLayerView& cache = args.cache;
  const bool is_f16 = cache.dtype == KvDType::kF16;
  const bool has_units = is_f16 ? stream.traits().MultipliesF16()
                                : cache.dtype == KvDType::kBf16 && stream.traits().MultipliesBf16();
  // The sums of more do not fit the registers of every GPU.
  const int max_value_dim = (is_f16 ? 4 : 2) * kPromptDims;
  const size_t shared_bytes =
      is_f16 ? PromptSharedBytes<F16>(cache.head_dim) : PromptSharedBytes<Bf16>(cache.head_dim);
  return has_units && !cache.values_in_keys && cache.head_dim % 16 == 0 &&
         cache.value_dim % 16 == 0 && cache.value_dim <= max_value_dim &&
         shared_bytes <= kSharedBytes;
}

// Dimensions that are too many for the values are zeros.
Status LaunchPromptAttention(const AttentionLaunch& launch, HipStream& stream) {
  const int n_chunks = (launch.args.cache.value_dim + kPromptDims - 1) / kPromptDims;
  if (launch.args.cache.dtype == KvDType::kF16) {
    if (n_chunks == 1) return LaunchByWave<KvDType::kF16, 1>(launch, stream);
    if (n_chunks == 2) return LaunchByWave<KvDType::kF16, 2>(launch, stream);
    return LaunchByWave<KvDType::kF16, 4>(launch, stream);
  }
  if (n_chunks == 1) return LaunchByWave<KvDType::kBf16, 1>(launch, stream);
  return LaunchByWave<KvDType::kBf16, 2>(launch, stream);
}

}  // namespace forge
