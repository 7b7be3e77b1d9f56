// Runs the CPU's hot kernels once each, at the level FORGE_CPU_LEVEL, and has callgrind count the
// instructions of each alone: instruction_counts_test.py runs it and judges.

#include <valgrind/callgrind.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "bench/op_inputs.h"
#include "kernels/base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/causal_conv.h"
#include "kernels/cpu/cpu_features.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/delta_rule.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/state_space.h"
#include "tests/kernels/random_weights.h"

namespace forge {
namespace {

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
  const auto weights = AllocateOpMemory(CpuPackedWeightBytes(shape).value());
  FORGE_CHECK(CpuPackRows(shape, 0, kRows, rows.data(), weights.get()).ok(), "pack");
  for (const int n_tokens : {1, 8, 32}) {
    const std::vector<float> x = NormalFloats(static_cast<size_t>(n_tokens * kColumns));
    std::vector<float> y(static_cast<size_t>(n_tokens * kRows));
    const uint64_t workspace_bytes = CpuMatmulWorkspaceBytes(n_tokens, kColumns);
    const auto workspace = AllocateOpMemory(workspace_bytes);
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
  const AttentionInputs inputs({.dtype = dtype,
                                .depth = 512 - n_tokens,
                                .n_tokens = n_tokens,
                                .window = 0,
                                .n_heads = 8,
                                .n_kv_heads = 2,
                                .head_dim = 64},
                               stream);
  Count("attention " + std::string(KvDTypeName(dtype)) + " " + std::to_string(n_tokens),
        [&] { return CpuAttention(inputs.args(), stream); });
}

// One sequence whose states stay in their slots, with four taps and heads of 128.
void CountRecurrentOps(int n_tokens, CpuStream& stream) {
  constexpr int kKeyHeads = 1, kValueHeads = 2, kHeadDim = 128, kTaps = 4;
  constexpr int kChannels = (2 * kKeyHeads + kValueHeads) * kHeadDim;
  const std::vector<float> x = NormalFloats(static_cast<size_t>(n_tokens * kChannels));
  const std::vector<float> weight = NormalFloats(kChannels * kTaps);
  const std::vector<float> decay(kValueHeads, -1.0f);
  std::vector<float> y(x.size()), slot(kValueHeads * kHeadDim * kHeadDim);
  const std::vector<int32_t> first_token = {0, n_tokens}, zero = {0};
  const RaggedBatch batch = {
      .n_tokens = n_tokens, .n_sequences = 1, .first_token = first_token.data()};
  const RecurrentState state = {.data = slot.data(),
                                .slot_stride = static_cast<int64_t>(slot.size()),
                                .n_slots = 1,
                                .from = zero.data(),
                                .to = zero.data(),
                                .kept_after = zero.data(),
                                .kept_to = zero.data()};
  Count("causal_conv " + std::to_string(n_tokens), [&] {
    return CpuCausalConv({.batch = batch,
                          .state = state,
                          .x = x.data(),
                          .weight = weight.data(),
                          .y = y.data(),
                          .n_channels = kChannels,
                          .n_taps = kTaps},
                         stream);
  });
  Count("delta_rule " + std::to_string(n_tokens), [&] {
    return CpuDeltaRule({.batch = batch,
                         .state = state,
                         .qkv = x.data(),
                         .gate = x.data(),
                         .alpha = x.data(),
                         .beta = x.data(),
                         .alpha_bias = decay.data(),
                         .decay = decay.data(),
                         .norm_weight = weight.data(),
                         .y = y.data(),
                         .n_key_heads = kKeyHeads,
                         .n_value_heads = kValueHeads,
                         .head_dim = kHeadDim,
                         .epsilon = 1e-6f},
                        stream);
  });
  Count("state_space " + std::to_string(n_tokens), [&] {
    return CpuStateSpace({.batch = batch,
                          .state = state,
                          .xbc = x.data(),
                          .gate = x.data(),
                          .step = x.data(),
                          .step_bias = decay.data(),
                          .decay = decay.data(),
                          .skip = decay.data(),
                          .y = y.data(),
                          .n_heads = kValueHeads,
                          .n_groups = 1,
                          .head_dim = kHeadDim,
                          .state_dim = kHeadDim},
                         stream);
  });
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
  for (const int n_tokens : {1, 32}) CountRecurrentOps(n_tokens, stream);
  return 0;
}

}  // namespace
}  // namespace forge

int main() { return forge::Run(); }
