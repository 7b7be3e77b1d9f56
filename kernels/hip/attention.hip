#include <algorithm>
#include <cstddef>
#include <string>

#include "kernels/hip/attention.h"
#include "kernels/hip/attention_kernel.h"
#include "kernels/hip/hip_ops.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/prompt_attention.h"

namespace forge {
namespace {

// Steps up to this many tokens split their positions; longer ones have blocks enough.
constexpr int kMaxSplitTokens = 32;

// Rows of a block where several tokens of a sequence may share one.
constexpr int kMaxRows = 16;

constexpr size_t kStaticSharedBytes = 12 << 10;  // an upper bound

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t SplitRows(int max_tokens, int n_heads) {
  return static_cast<uint64_t>(std::clamp(max_tokens, 0, kMaxSplitTokens)) *
         static_cast<uint64_t>(std::max(n_heads, 0)) * kMaxSplits;
}

// One block for each token and query head: the softmax over all splits, and the sink.
__global__ void __launch_bounds__(kAttentionThreads) CombineSplitsKernel(AttentionLaunch launch) {
  const int64_t row = blockIdx.x;
  const int n_splits = launch.n_splits, value_dim = launch.args.cache.value_dim;
  const float* maxima = launch.maxima + row * n_splits;
  const float* totals = launch.totals + row * n_splits;
  const float* sinks = launch.args.sinks;
  const float sink = sinks == nullptr ? -INFINITY : sinks[row % launch.args.n_heads];
  float maximum = sink;
  for (int z = 0; z < n_splits; ++z) maximum = fmaxf(maximum, maxima[z]);
  const float shift = maximum == -INFINITY ? 0.0f : maximum;
  float total = sink == -INFINITY ? 0.0f : expf(sink - shift);
  for (int z = 0; z < n_splits; ++z)
    if (totals[z] != 0.0f) total = fmaf(totals[z], expf(maxima[z] - shift), total);
  for (int d = static_cast<int>(threadIdx.x); d < value_dim; d += kAttentionThreads) {
    float sum = 0.0f;
    for (int z = 0; z < n_splits; ++z) {
      if (totals[z] == 0.0f) continue;  // it saw nothing, and wrote zeros
      sum = fmaf(launch.sums[(row * n_splits + z) * value_dim + d], expf(maxima[z] - shift), sum);
    }
    launch.args.y[row * value_dim + d] = sum / total;
  }
}

template <KvDType kDType, int kRows>
Status LaunchRows(const AttentionLaunch& launch, HipStream& stream) {
  const KvLayerView& cache = launch.args.cache;
  const size_t shared =
      sizeof(float) * AttentionSharedFloats<kRows>(cache.head_dim, cache.value_dim);
  const int n_tiles = (launch.args.batch.n_tokens + launch.tile_tokens - 1) / launch.tile_tokens;
  return LaunchKernel("attention", AttentionKernel<kDType, kRows>,
                      {.grid = dim3(static_cast<unsigned>(n_tiles),
                                    static_cast<unsigned>(cache.n_kv_heads * launch.head_groups),
                                    static_cast<unsigned>(launch.n_splits)),
                       .block = kAttentionThreads,
                       .shared_bytes = shared},
                      stream, launch);
}

template <KvDType kDType>
Status LaunchType(const AttentionLaunch& launch, int rows, HipStream& stream) {
  if (rows == 16) return LaunchRows<kDType, 16>(launch, stream);
  if (rows == 8) return LaunchRows<kDType, 8>(launch, stream);
  return LaunchRows<kDType, 4>(launch, stream);
}

Status LaunchAttention(const AttentionLaunch& launch, int rows, HipStream& stream) {
  switch (launch.args.cache.dtype) {
    case KvDType::kF32:
      return LaunchType<KvDType::kF32>(launch, rows, stream);
    case KvDType::kF16:
      return LaunchType<KvDType::kF16>(launch, rows, stream);
    case KvDType::kBf16:
      return LaunchType<KvDType::kBf16>(launch, rows, stream);
    case KvDType::kQ8_0:
      return LaunchType<KvDType::kQ8_0>(launch, rows, stream);
  }
  return Status();
}

// Adjacent tokens of a step that one launch takes.
struct Tokens {
  AttentionArgs args;  // of these tokens; the sequences are the step's
  bool are_decodes;    // one of a sequence each
  bool are_split;      // so few that their positions are split among blocks
};

Tokens AllTokens(const AttentionArgs& args) {
  return {args, args.batch.n_tokens == args.batch.n_sequences,
          args.batch.n_tokens <= kMaxSplitTokens};
}

// [first, first + n) of a step.
AttentionArgs PartOf(AttentionArgs args, int first, int n) {
  const int64_t first_head = int64_t{first} * args.n_heads;
  args.batch.n_tokens = n;
  args.batch.positions += first;
  args.batch.token_sequence += first;
  args.q += first_head * args.cache.head_dim;
  args.y += first_head * args.cache.value_dim;
  return args;
}

// The most rows whose queries and sums fit shared memory, 0 if not even the fewest do; no more than
// are of use.
int ChooseRows(const Tokens& tokens, int group) {
  const KvLayerView& cache = tokens.args.cache;
  const size_t row_bytes =
      sizeof(float) * (static_cast<size_t>(cache.head_dim) + static_cast<size_t>(cache.value_dim));
  int rows = kMaxRows;
  while (rows > 4 && tokens.are_decodes && rows / 2 >= group) rows /= 2;
  while (rows >= 4 && static_cast<size_t>(rows) * row_bytes > kSharedBytes - kStaticSharedBytes)
    rows /= 2;
  return rows >= 4 ? rows : 0;
}

// As many as the block tables have room for partitions: a sequence of fewer has nothing in the
// others, and has the same bits.
int CountSplits(const Tokens& tokens) {
  if (!tokens.are_split) return 1;
  const AttentionArgs& args = tokens.args;
  const int64_t positions = static_cast<int64_t>(args.batch.max_blocks) * args.cache.block_tokens;
  const int64_t partitions = (positions + kPartitionPositions - 1) / kPartitionPositions;
  return static_cast<int>(std::clamp<int64_t>(partitions, 1, kMaxSplits));
}

Status Plan(const Tokens& tokens, bool is_prompt, AttentionLaunch& launch, int& rows) {
  const AttentionArgs& args = tokens.args;
  launch.args = args;
  launch.group = args.n_heads / args.cache.n_kv_heads;
  rows = is_prompt ? kPromptRows : ChooseRows(tokens, launch.group);
  if (rows == 0)
    return Unimplemented("attention: heads are too large for shared memory: head_dim " +
                         std::to_string(args.cache.head_dim) + ", value_dim " +
                         std::to_string(args.cache.value_dim));
  launch.tile_heads = std::min(launch.group, rows);
  launch.head_groups = (launch.group + launch.tile_heads - 1) / launch.tile_heads;
  launch.tile_tokens = tokens.are_decodes ? 1 : rows / launch.tile_heads;
  launch.n_splits = CountSplits(tokens);
  const uint64_t n_rows = SplitRows(args.batch.n_tokens, args.n_heads);
  auto* base = static_cast<std::byte*>(args.workspace.data);
  launch.maxima = reinterpret_cast<float*>(base);
  launch.totals = reinterpret_cast<float*>(base + AlignUp(4 * n_rows));
  launch.sums = reinterpret_cast<float*>(base + 2 * AlignUp(4 * n_rows));
  return Status();
}

Status Attend(const Tokens& tokens, HipStream& stream) {
  const AttentionArgs& args = tokens.args;
  // Tokens whose positions are split are too few for tiles of prompts.
  const bool is_prompt = !tokens.are_split && !tokens.are_decodes && CanAttendPrompt(args, stream);
  AttentionLaunch launch;
  int rows = 0;
  FORGE_TRY(Plan(tokens, is_prompt, launch, rows));
  if (is_prompt) return LaunchPromptAttention(launch, stream);
  FORGE_TRY(LaunchAttention(launch, rows, stream));
  if (launch.n_splits == 1) return Status();
  return LaunchKernel(
      "combine_splits", CombineSplitsKernel,
      {.grid = static_cast<unsigned>(args.batch.n_tokens) * static_cast<unsigned>(args.n_heads),
       .block = kAttentionThreads},
      stream, launch);
}

}  // namespace

// Some bytes also where nothing is split, since an op without a workspace is refused.
uint64_t HipAttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) {
  const uint64_t n_rows = SplitRows(max_tokens, n_heads);
  return 2 * AlignUp(4 * n_rows) +
         AlignUp(4 * n_rows * static_cast<uint64_t>(std::max(value_dim, 0))) + 64;
}

Status HipAttention(const AttentionArgs& given, Stream& stream) {
  FORGE_TRY(Validate(given));
  if (given.batch.n_tokens == 0) return Status();
  AttentionArgs args = given;
  // The kernels ask positions for no more than what is seen.
  if (given.last_seen != nullptr) args.batch.positions = given.last_seen;
  const uint64_t needed =
      HipAttentionWorkspaceBytes(args.batch.n_tokens, args.n_heads, args.cache.value_dim);
  if (args.workspace.bytes < needed)
    return InvalidArgument("attention: the workspace is too small: needed " +
                           std::to_string(needed) + " bytes, given " +
                           std::to_string(args.workspace.bytes));
  HipStream& hip = AsHip(stream);
  const int n_decodes = args.batch.n_decodes, n_others = args.batch.n_tokens - n_decodes;
  if (args.batch.n_tokens <= kMaxSplitTokens || n_decodes == 0 || n_decodes > kMaxSplitTokens ||
      n_others == 0)
    return Attend(AllTokens(args), hip);
  // Beside a prompt, streams that generate would each have one block go through all positions.
  FORGE_TRY(Attend({PartOf(args, 0, n_decodes), /*are_decodes=*/true, /*are_split=*/true}, hip));
  return Attend({PartOf(args, n_decodes, n_others), /*are_decodes=*/false, /*are_split=*/false},
                hip);
}

}  // namespace forge
