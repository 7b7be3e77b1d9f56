#include "kernels/cpu/expert_pairs.h"

#include <algorithm>

#include "kernels/cpu/activation.h"

namespace forge {
namespace {

// Where the parts of a workspace start. Each is 64-byte aligned.
struct WorkspaceLayout {
  uint64_t next;
  uint64_t runs;
  uint64_t activations;
  uint64_t end;
};

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

WorkspaceLayout LayOut(int64_t n_pairs, int64_t n_cols, int64_t n_experts) {
  const auto pairs = static_cast<uint64_t>(n_pairs);
  const auto experts = static_cast<uint64_t>(n_experts);
  WorkspaceLayout layout;
  layout.next = AlignUp(pairs * sizeof(int32_t));
  layout.runs = layout.next + AlignUp(experts * sizeof(int32_t));
  layout.activations = layout.runs + AlignUp(std::min(pairs, experts) * sizeof(ExpertRun));
  const auto cols = static_cast<uint64_t>(n_cols);
  const uint64_t blocks = (cols + kActivationBlockColumns - 1) / kActivationBlockColumns;
  const uint64_t float_bytes = pairs * cols * sizeof(float);
  const uint64_t quantized_bytes = (pairs + pairs / 2) * blocks * kActivationBytes;
  layout.end = layout.activations + AlignUp(std::max(float_bytes, quantized_bytes));
  return layout;
}

}  // namespace

uint64_t ExpertPairs::WorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts) {
  if (max_pairs <= 0 || max_cols <= 0 || max_experts <= 0) return 0;
  return LayOut(max_pairs, max_cols, max_experts).end;
}

ExpertPairs::ExpertPairs(const ExpertMatmulArgs& args)
    : n_pairs_(int64_t{args.n_x_rows} * args.pairs_per_row) {
  const ExpertWeights& weights = args.targets[0].weights;
  const WorkspaceLayout layout = LayOut(n_pairs_, weights.first.shape.n_cols, weights.n_experts);
  auto* base = static_cast<std::byte*>(args.workspace.data);
  order_ = reinterpret_cast<int32_t*>(base);
  auto* next = reinterpret_cast<int32_t*>(base + layout.next);  // place of each expert's next pair
  auto* runs = reinterpret_cast<ExpertRun*>(base + layout.runs);
  activations_ = base + layout.activations;

  std::fill_n(next, weights.n_experts, 0);
  for (int64_t i = 0; i < n_pairs_; ++i) ++next[args.experts[i]];
  size_t n_runs = 0;
  int32_t first_pair = 0;
  for (int expert = 0; expert < weights.n_experts; ++expert) {
    const int32_t n = next[expert];
    next[expert] = first_pair;
    if (n == 0) continue;
    runs[n_runs++] = {.expert = expert,
                      .first_pair = first_pair,
                      .n_pairs = n,
                      .groups_per_chunk = 0,
                      .first_chunk = 0};
    first_pair += n;
  }
  runs_ = {runs, n_runs};
  for (int64_t i = 0; i < n_pairs_; ++i) order_[next[args.experts[i]]++] = static_cast<int32_t>(i);
}

const ExpertRun& ExpertPairs::RunOf(int64_t sorted_pair) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), sorted_pair,
                       [](int64_t pair, const ExpertRun& run) { return pair < run.first_pair; });
  return *(after - 1);
}

}  // namespace forge
