#include <algorithm>
#include <string>

#include "kernels/hip/batch_matmul.h"
#include "kernels/hip/expert_matmul.h"
#include "kernels/hip/gated_activation.h"
#include "kernels/hip/hip_ops.h"
#include "kernels/hip/launch.h"
#include "kernels/hip/matvec.h"
#include "kernels/hip/pack.h"

namespace forge {
namespace {

constexpr int kThreads = 256;

// The pairs sorted by expert, on the device. Expert n_experts stands for all that there are not.
struct PairPlan {
  int32_t* counts;   // [n_experts + 1], pairs of each expert
  int32_t* cursors;  // [n_experts + 1], where the next pair of each goes
  int32_t* order;    // [n_pairs]
  ExpertTile* tiles;
};

// Tiles that any choice of experts fits: each expert may have one that is not full.
int64_t CountTiles(int64_t n_pairs, int64_t n_experts, int tile_tokens) {
  return std::min(n_pairs, (n_pairs + tile_tokens - 1) / tile_tokens + n_experts + 1);
}

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t PlanBytes(uint64_t n_pairs, uint64_t n_experts) {
  return 2 * AlignUp(4 * (n_experts + 1)) + AlignUp(4 * n_pairs) +
         AlignUp(sizeof(ExpertTile) * n_pairs);
}

PairPlan PlacePlan(std::byte* data, uint64_t n_pairs, uint64_t n_experts) {
  const uint64_t counts = AlignUp(4 * (n_experts + 1));
  return {.counts = reinterpret_cast<int32_t*>(data),
          .cursors = reinterpret_cast<int32_t*>(data + counts),
          .order = reinterpret_cast<int32_t*>(data + 2 * counts),
          .tiles = reinterpret_cast<ExpertTile*>(data + 2 * counts + AlignUp(4 * n_pairs))};
}

FORGE_DEVICE int ExpertOf(const int32_t* experts, int pair, int n_experts) {
  const int expert = experts[pair];
  return expert >= 0 && expert < n_experts ? expert : n_experts;
}

// Sorts the pairs and cuts the runs of each expert into tiles, in one block. Where a pair lands
// among those of its expert is chance, and changes no result.
__global__ void __launch_bounds__(kThreads)
    PlanPairsKernel(const int32_t* __restrict__ experts, int n_pairs, int n_experts,
                    int tile_tokens, int64_t n_tiles, PairPlan plan) {
  FORGE_SHARED(int, pair_sums, kThreads);
  FORGE_SHARED(int, tile_sums, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  for (int e = thread; e <= n_experts; e += kThreads) plan.counts[e] = 0;
  for (int64_t i = thread; i < n_tiles; i += kThreads) plan.tiles[i].count = 0;
  __syncthreads();
  for (int pair = thread; pair < n_pairs; pair += kThreads)
    atomicAdd(&plan.counts[ExpertOf(experts, pair, n_experts)], 1);
  __syncthreads();
  int pairs_before = 0, tiles_before = 0;  // of the experts of earlier rounds
  for (int base = 0; base <= n_experts; base += kThreads) {
    const int expert = base + thread;
    const int count = expert <= n_experts ? plan.counts[expert] : 0;
    const int n_own = (count + tile_tokens - 1) / tile_tokens;
    pair_sums[thread] = count;
    tile_sums[thread] = n_own;
    __syncthreads();
    for (int step = 1; step < kThreads; step *= 2) {  // inclusive sums
      const int pairs = thread >= step ? pair_sums[thread - step] : 0;
      const int tiles = thread >= step ? tile_sums[thread - step] : 0;
      __syncthreads();
      pair_sums[thread] += pairs;
      tile_sums[thread] += tiles;
      __syncthreads();
    }
    const int first = pairs_before + pair_sums[thread] - count;
    const int first_tile = tiles_before + tile_sums[thread] - n_own;
    if (expert <= n_experts) plan.cursors[expert] = first;
    for (int i = 0; i < n_own; ++i) {
      const int left = count - i * tile_tokens;
      plan.tiles[first_tile + i] = {expert, first + i * tile_tokens,
                                    left < tile_tokens ? left : tile_tokens};
    }
    pairs_before += pair_sums[kThreads - 1];
    tiles_before += tile_sums[kThreads - 1];
    __syncthreads();  // the sums are written again in the next round
  }
  for (int pair = thread; pair < n_pairs; pair += kThreads)
    plan.order[atomicAdd(&plan.cursors[ExpertOf(experts, pair, n_experts)], 1)] = pair;
}

Status Check(const ExpertMatmulArgs& args) {
  for (int i = 0; i < args.n_targets; ++i) {
    const ExpertWeights& weights = args.targets[static_cast<size_t>(i)].weights;
    FORGE_ASSIGN_OR_RETURN(const uint64_t bytes, HipPackedWeightBytes(weights.first.shape));
    if (weights.stride_bytes < bytes)
      return InvalidArgument("expert_matmul: a matrix of " + std::to_string(bytes) +
                             " bytes does not fit stride_bytes " +
                             std::to_string(weights.stride_bytes));
  }
  const ExpertWeights& weights = args.targets[0].weights;
  const int n_pairs = args.n_x_rows * args.pairs_per_row;
  const uint64_t needed =
      HipExpertMatmulWorkspaceBytes(n_pairs, weights.first.shape.n_cols, weights.n_experts);
  if (args.workspace.data == nullptr || args.workspace.bytes < needed)
    return InvalidArgument("expert_matmul: the workspace of " +
                           std::to_string(args.workspace.bytes) + " bytes is too small for " +
                           std::to_string(n_pairs) + " pairs; it needs " + std::to_string(needed));
  return Status();
}

// Whether all targets go to the matrix units.
bool IsBatch(const ExpertMatmulArgs& args, const HipStream& stream) {
  const int64_t n_pairs = int64_t{args.n_x_rows} * args.pairs_per_row;
  bool is_batch = n_pairs >= int64_t{kMinBatchPairs} * args.targets[0].weights.n_experts;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i)
    is_batch =
        is_batch && HasBatch(FindMatvecFormat(args.targets[i].weights.first.shape.dtype), stream);
  return is_batch;
}

bool HaveOneFormat(const ExpertMatmulArgs& args) {
  return args.n_targets == 2 &&
         args.targets[0].weights.first.shape.dtype == args.targets[1].weights.first.shape.dtype;
}

// Sorts the pairs, unless the last product did and they are the same.
Status SortPairs(const ExpertMatmulArgs& args, const SortedPairs& pairs, int64_t n_tiles,
                 const PairPlan& plan, HipStream& stream) {
  if (args.repeats_pairs && stream.sorted_pairs() == pairs) return Status();
  FORGE_TRY(LaunchKernel("plan_pairs", PlanPairsKernel, {.grid = 1, .block = kThreads}, stream,
                         pairs.experts, pairs.n_pairs, pairs.n_experts, pairs.tile_tokens, n_tiles,
                         plan));
  stream.set_sorted_pairs(pairs);
  return Status();
}

// Rounds the activations for the products that take them so.
Status PrepareActivations(const ExpertMatmulArgs& args, std::byte* workspace, HipStream& stream,
                          MatvecArgs& matvec) {
  ActivationNeeds needs;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i)
    needs.Add(FindMatvecFormat(args.targets[i].weights.first.shape.dtype));
  if (!needs.quantized) return Status();
  std::byte* at = workspace + PlanBytes(static_cast<uint64_t>(args.n_x_rows * args.pairs_per_row),
                                        static_cast<uint64_t>(args.targets[0].weights.n_experts));
  matvec.quantized = PlaceQuantizedActivations(at, args.n_x_rows, matvec.n_cols);
  return QuantizeActivations(args.x, {}, args.n_x_rows, matvec.n_cols, needs.digits,
                             matvec.quantized, stream);
}

// Targets of one format share a launch.
Status MultiplyTargets(const ExpertMatmulArgs& args, MatvecArgs matvec, bool is_batch,
                       int tile_tokens, HipStream& stream) {
  const bool is_one_launch = HaveOneFormat(args);
  matvec.n_targets = 0;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
    const ExpertMatmulTarget& target = args.targets[i];
    const WeightShape& shape = target.weights.first.shape;
    matvec.targets[matvec.n_targets++] = {
        .weights = static_cast<const std::byte*>(target.weights.first.data),
        .bias = target.bias,
        .y = target.y,
        .n_rows = shape.n_rows,
        .expert_stride = target.weights.stride_bytes};
    if (is_one_launch && i == 0) continue;
    const MatvecFormat& format = FindMatvecFormat(shape.dtype);
    FORGE_TRY(is_batch ? format.launch_batch(matvec, stream)
                       : format.launch(matvec, tile_tokens, stream));
    matvec.n_targets = 0;
  }
  return Status();
}

// Few experts get more than their share, so tiles are made for twice of it.
int ExpertTileTokens(int64_t n_pairs, int64_t n_experts) {
  return n_pairs <= n_experts ? 1 : TileTokens(2 * n_pairs / n_experts);
}

}  // namespace

uint64_t HipExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts) {
  if (max_pairs <= 0 || max_cols <= 0 || max_experts <= 0) return 0;
  return PlanBytes(static_cast<uint64_t>(max_pairs), static_cast<uint64_t>(max_experts)) +
         QuantizedActivationBytes(max_pairs, max_cols);
}

Status HipExpertMatmul(const ExpertMatmulArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_x_rows == 0) return Status();
  FORGE_TRY(Check(args));
  HipStream& hip = AsHip(stream);
  const ExpertWeights& weights = args.targets[0].weights;
  const int n_pairs = args.n_x_rows * args.pairs_per_row;
  const bool is_batch = IsBatch(args, hip);
  const int tile_tokens =
      is_batch ? kBatchTileTokens : ExpertTileTokens(n_pairs, weights.n_experts);
  auto* workspace = static_cast<std::byte*>(args.workspace.data);
  const PairPlan plan = PlacePlan(workspace, static_cast<uint64_t>(n_pairs),
                                  static_cast<uint64_t>(weights.n_experts));
  MatvecArgs matvec;
  matvec.x = args.x;
  matvec.n_cols = weights.first.shape.n_cols;
  matvec.n_tokens = args.n_x_rows;
  matvec.tiles = plan.tiles;
  matvec.order = plan.order;
  matvec.pairs_per_row = args.pairs_per_row;
  matvec.n_experts = weights.n_experts;
  matvec.n_tiles = CountTiles(n_pairs, weights.n_experts, tile_tokens);
  FORGE_TRY(SortPairs(args, {args.experts, workspace, n_pairs, weights.n_experts, tile_tokens},
                      matvec.n_tiles, plan, hip));
  FORGE_TRY(PrepareActivations(args, workspace, hip, matvec));
  const bool can_activate = !is_batch && (args.n_targets == 1 || HaveOneFormat(args));
  const bool is_activated = args.activation && can_activate;
  if (is_activated) {
    (args.n_targets == 2 ? matvec.is_gated : matvec.is_activated) = 1;
    matvec.activation = *args.activation;
  }
  FORGE_TRY(MultiplyTargets(args, matvec, is_batch, tile_tokens, hip));
  if (!args.activation || is_activated) return Status();
  const float* const up = args.n_targets == 2 ? args.targets[1].y : nullptr;
  return LaunchGatedActivation(*args.activation, args.targets[0].y, up,
                               n_pairs * weights.first.shape.n_rows, hip);
}

}  // namespace forge
