// Measures attention over caches of every number format, and the products of mixtures of experts.
//
//   ops_bench [--threads N] [--level portable|avx2|avx512] [--rounds N]
//
// Counts processor time, divided by the threads, so that other programs disturb it little; the
// table shows the best of the rounds.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bench/op_inputs.h"
#include "kernels/base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/expert_matmul.h"
#include "kernels/cpu/pack.h"
#include "tests/kernels/random_weights.h"

namespace forge {
namespace {

struct Options {
  int n_threads = 1;
  CpuLevel level = HighestCpuLevel();
  int rounds = 7;
};

double Now() {
  timespec time = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <typename Run>
double BestSeconds(const Options& options, const Run& run) {
  double best = 1e9;
  for (int round = 0; round < options.rounds; ++round) {
    const double start = Now();
    run();
    best = std::min(best, (Now() - start) / options.n_threads);
  }
  return best;
}

// --- Attention

constexpr int kHeads = 32, kKvHeads = 8, kHeadDim = 128;

struct AttentionCase {
  int depth;     // positions before the tokens
  int n_tokens;  // of one sequence
  int window;
};

void MeasureAttention(const Options& options, CpuStream& stream, KvDType dtype,
                      const AttentionCase& c) {
  const AttentionInputs inputs({.dtype = dtype,
                                .depth = c.depth,
                                .n_tokens = c.n_tokens,
                                .window = c.window,
                                .n_heads = kHeads,
                                .n_kv_heads = kKvHeads,
                                .head_dim = kHeadDim},
                               stream);
  const double seconds = BestSeconds(
      options, [&] { FORGE_CHECK(CpuAttention(inputs.args(), stream).ok(), "attention"); });
  const double seen =
      c.window == 0 ? c.depth + 0.5 * c.n_tokens : std::min(c.window, c.depth + c.n_tokens);
  const double products = 2.0 * seen * c.n_tokens * kHeads * kHeadDim;
  std::printf("attention  %-5s depth %5d  tokens %4d  window %5d  %9.1f us  %6.1f GFLOP/s\n",
              std::string(KvDTypeName(dtype)).c_str(), c.depth, c.n_tokens, c.window, 1e6 * seconds,
              2e-9 * products / seconds);
}

// --- Experts

struct ExpertCase {
  int n_experts, n_used;
  int64_t n_in, n_out;
  int n_tokens;
};

void MeasureExperts(const Options& options, CpuStream& stream, DType dtype, const ExpertCase& c) {
  const WeightShape shape = {dtype, c.n_out, c.n_in};
  const uint64_t stride = CpuPackedWeightBytes(shape).value();
  const auto weights = AllocateOpMemory(2 * stride * static_cast<uint64_t>(c.n_experts));
  std::mt19937 random(2);
  const std::vector<std::byte> rows = testing::RandomWeights(dtype, c.n_out, c.n_in, random);
  FORGE_CHECK(CpuPackRows(shape, 0, c.n_out, rows.data(), weights.get()).ok(), "pack");
  for (int e = 1; e < 2 * c.n_experts; ++e)
    std::memcpy(weights.get() + static_cast<uint64_t>(e) * stride, weights.get(), stride);
  const int n_pairs = c.n_tokens * c.n_used;
  std::vector<int32_t> experts(static_cast<size_t>(n_pairs));
  for (size_t i = 0; i < experts.size(); ++i)
    experts[i] = static_cast<int32_t>(random() % static_cast<uint32_t>(c.n_experts));
  const std::vector<float> x = NormalFloats(static_cast<size_t>(c.n_tokens * c.n_in));
  std::vector<float> y(static_cast<size_t>(2 * n_pairs * c.n_out));
  const uint64_t workspace_bytes = CpuExpertMatmulWorkspaceBytes(n_pairs, c.n_in, c.n_experts);
  const auto workspace = AllocateOpMemory(workspace_bytes);
  ExpertMatmulArgs args;
  args.x = x.data();
  args.n_x_rows = c.n_tokens;
  args.pairs_per_row = c.n_used;
  args.experts = experts.data();
  args.n_targets = 2;
  for (size_t i = 0; i < 2; ++i)
    args.targets[i] = {{{weights.get() + i * stride * static_cast<uint64_t>(c.n_experts), shape},
                        stride,
                        c.n_experts},
                       nullptr,
                       y.data() + i * static_cast<size_t>(n_pairs * c.n_out)};
  args.workspace = {workspace.get(), workspace_bytes};
  const double seconds = BestSeconds(
      options, [&] { FORGE_CHECK(CpuExpertMatmul(args, stream).ok(), "expert_matmul"); });
  std::sort(experts.begin(), experts.end());
  const auto n_active = std::unique(experts.begin(), experts.end()) - experts.begin();
  const double bytes = 2.0 * static_cast<double>(n_active) * static_cast<double>(stride);
  const double products = 2.0 * n_pairs * static_cast<double>(c.n_in * c.n_out);
  std::printf(
      "experts    %-5s %3d of %3d  %5d -> %5d  tokens %4d  %9.1f us  %6.2f GB/s  %7.1f Gop/s\n",
      std::string(FindFormat(dtype)->name).c_str(), c.n_used, c.n_experts, static_cast<int>(c.n_in),
      static_cast<int>(c.n_out), c.n_tokens, 1e6 * seconds, 1e-9 * bytes / seconds,
      2e-9 * products / seconds);
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i], value = argv[i + 1];
    if (flag == "--threads") options.n_threads = std::atoi(argv[i + 1]);
    if (flag == "--rounds") options.rounds = std::atoi(argv[i + 1]);
    if (flag == "--level")
      for (const CpuLevel level : kCpuLevels)
        if (value == CpuLevelName(level) && HasCpuLevel(level)) options.level = level;
  }
  return options;
}

void Run(const Options& options) {
  const auto pool = ThreadPool::Create(options.n_threads).value();
  CpuStream stream(*pool, options.level);
  for (const KvDType dtype : {KvDType::kF32, KvDType::kF16, KvDType::kBf16, KvDType::kQ8_0})
    for (const AttentionCase& c : std::vector<AttentionCase>{
             {4096, 1, 0}, {4096, 1, 1024}, {4096, 128, 0}, {4096, 128, 1024}, {0, 512, 0}})
      MeasureAttention(options, stream, dtype, c);
  for (const DType dtype : {Q4_K::kDType, Q8_0::kDType, Bf16Format::kDType})
    for (const int n_tokens : {1, 4, 32, 256})
      MeasureExperts(options, stream, dtype, {64, 8, 2048, 768, n_tokens});
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  forge::Run(forge::ParseOptions(argc, argv));
  return 0;
}
