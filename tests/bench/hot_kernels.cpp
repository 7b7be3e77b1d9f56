// Runs the CPU's hot kernels once each, at the level FORGE_CPU_LEVEL, and has callgrind count the
// instructions of each alone: instruction_counts_test.py runs it and judges.

#include <valgrind/callgrind.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/kv_append.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/page_memory.h"
#include "tests/kernels/random_weights.h"

namespace forge {
namespace {

// Memory as the CPU device allocates it.
struct Unmap {
  uint64_t bytes;
  void operator()(std::byte* p) const { FreePages(p, bytes); }
};
std::unique_ptr<std::byte[], Unmap> Allocate(uint64_t bytes) {
  return {static_cast<std::byte*>(AllocatePages(bytes).value()), Unmap{bytes}};
}

std::vector<float> NormalFloats(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

// Runs `call` twice, so that whatever happens once has happened, and counts the second time.
template <typename Call>
void Count(const std::string& name, const Call& call) {
  FORGE_CHECK(call().ok(), name);
  CALLGRIND_TOGGLE_COLLECT;
  const Status status = call();
  CALLGRIND_TOGGLE_COLLECT;
  FORGE_CHECK(status.ok(), name);
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

void CountMatmul(const FormatInfo& format, CpuStream& stream) {
  constexpr int64_t kRows = 128, kColumns = 1024;
  const WeightShape shape = {format.dtype, kRows, kColumns};
  std::mt19937 random(1);
  const auto rows = testing::RandomWeights(format.dtype, kRows, kColumns, random);
  const auto weights = Allocate(CpuPackedWeightBytes(shape).value());
  FORGE_CHECK(CpuPackRows(shape, 0, kRows, rows.data(), weights.get()).ok(), "pack");
  for (const int n_tokens : {1, 8, 32}) {
    const std::vector<float> x = NormalFloats(static_cast<size_t>(n_tokens * kColumns));
    std::vector<float> y(static_cast<size_t>(n_tokens * kRows));
    const uint64_t workspace_bytes = CpuMatmulWorkspaceBytes(n_tokens, kColumns);
    const auto workspace = Allocate(workspace_bytes);
    MatmulArgs args;
    args.x = x.data();
    args.n_tokens = n_tokens;
    args.n_targets = 1;
    args.targets[0] = {{weights.get(), shape}, nullptr, nullptr, y.data()};
    args.workspace = {workspace.get(), workspace_bytes};
    Count("matmul " + std::string(format.name) + " " + std::to_string(n_tokens),
          [&] { return CpuMatmul(args, stream); });
  }
}

// The last `n_tokens` of 512 positions, in eight heads on two of the cache.
void CountAttention(KvDType dtype, int n_tokens, CpuStream& stream) {
  constexpr int kPositions = 512, kHeads = 8, kKvHeads = 2, kHeadDim = 64, kBlockTokens = 32;
  constexpr int kBlocks = kPositions / kBlockTokens;
  const uint64_t bytes =
      KvBytes(dtype, uint64_t{kKvHeads} * kHeadDim * kBlockTokens) * uint64_t{kBlocks};
  const auto keys = Allocate(bytes), values = Allocate(bytes);
  const KvLayerView cache = {.keys = keys.get(),
                             .values = values.get(),
                             .dtype = dtype,
                             .n_blocks = kBlocks,
                             .block_tokens = kBlockTokens,
                             .n_kv_heads = kKvHeads,
                             .head_dim = kHeadDim,
                             .value_dim = kHeadDim};
  std::vector<int32_t> positions(kPositions), sequences(kPositions), table(kBlocks);
  for (int i = 0; i < kPositions; ++i) positions[static_cast<size_t>(i)] = i;
  for (int i = 0; i < kBlocks; ++i) table[static_cast<size_t>(i)] = i;
  const auto batch = [&](int n, const int32_t* first_token) {
    return RaggedBatch{.n_tokens = n,
                       .n_sequences = 1,
                       .positions = positions.data() + kPositions - n,
                       .token_sequence = sequences.data(),
                       .first_token = first_token,
                       .block_tables = table.data(),
                       .max_blocks = kBlocks};
  };
  const std::vector<float> history = NormalFloats(size_t{kPositions} * kKvHeads * kHeadDim);
  const int32_t all[] = {0, kPositions}, some[] = {0, n_tokens};
  const KvAppendArgs append = {.batch = batch(kPositions, all),
                               .cache = cache,
                               .keys = history.data(),
                               .values = history.data()};
  FORGE_CHECK(CpuKvAppend(append, stream).ok(), "kv_append");
  const std::vector<float> q = NormalFloats(static_cast<size_t>(n_tokens) * kHeads * kHeadDim);
  std::vector<float> y(q.size());
  const uint64_t workspace_bytes = CpuAttentionWorkspaceBytes(n_tokens, kHeads, kHeadDim);
  const auto workspace = Allocate(workspace_bytes);
  const AttentionArgs args = {.batch = batch(n_tokens, some),
                              .cache = cache,
                              .q = q.data(),
                              .y = y.data(),
                              .n_heads = kHeads,
                              .scale = 0.125f,
                              .workspace = {workspace.get(), workspace_bytes}};
  Count("attention " + std::string(KvDTypeName(dtype)) + " " + std::to_string(n_tokens),
        [&] { return CpuAttention(args, stream); });
}

int Run() {
  const Result<CpuLevel>& level = CpuLevelInUse();
  if (!level.ok()) {
    std::fprintf(stderr, "%s\n", level.status().ToString().c_str());
    return 1;
  }
  const auto pool = ThreadPool::Create(1).value();
  CpuStream stream(*pool, *level);
  for (const FormatInfo& format : KnownFormats()) CountMatmul(format, stream);
  for (const KvDType dtype : {KvDType::kF32, KvDType::kF16, KvDType::kBf16, KvDType::kQ8_0})
    for (const int n_tokens : {1, 32}) CountAttention(dtype, n_tokens, stream);
  return 0;
}

}  // namespace
}  // namespace forge

int main() { return forge::Run(); }
