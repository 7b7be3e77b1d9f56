#include "kernels/cpu/expert_matmul.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/expert_pairs.h"
#include "kernels/cpu/matmul_tiling.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// How many elements are copied in the time that one is quantised.
constexpr int64_t kCopiesPerQuantized = 4;

// One matrix of every expert, as the loop below needs it.
struct Product {
  const ExpertMatmulTarget* target;
  MatmulFormat format;
  int64_t n_groups;
  GatedKernel activate;  // null, or what makes the first target's y of these products and
  bool is_up;            // of that y, or else of no other
};

// The products of the targets that take their activations quantised, or of those that do not.
//
// Activations lie in the workspace, in order of the sorted pairs: quantised in the tiles that the
// kernels read, or as floats. Where a row has several pairs, it is quantised once, as a tile of its
// own before those of the pairs, and copied from there. A pair that shares its tile with no other
// is not copied.
//
// With gate and up a chunk has the same groups of both, so that it has both halves of its rows.
class ExpertProducts {
 public:
  // REQUIRES: `pairs` are those of the arguments. `activate`: of the arguments, if all targets are
  // among these products or none is; else null.
  ExpertProducts(const ExpertMatmulArgs& args, const ExpertPairs& pairs, CpuLevel level,
                 bool is_quantized, GatedKernel activate);

  bool empty() const { return n_products_ == 0; }
  bool is_gated() const { return products_[1].is_up; }
  void PrepareActivations(ThreadPool& pool) const;
  void Multiply(CpuStream& stream) const;

 private:
  int64_t RowOf(int64_t sorted_pair) const {
    return pairs_.order()[sorted_pair] / args_.pairs_per_row;
  }
  TokenTiles TilesOf(const ExpertRun& run) const { return {run.n_pairs}; }
  // A quantised row, as a tile of one token. REQUIRES: row < n_row_tiles_.
  std::byte* RowTile(int64_t row) const { return pairs_.activations() + row * token_bytes_; }
  // The tile that starts at a sorted pair.
  std::byte* PairTile(int64_t sorted_pair) const { return RowTile(n_row_tiles_ + sorted_pair); }
  void PreparePair(int64_t sorted_pair) const;
  const std::byte* ActivationsOf(const ExpertRun& run, int64_t pair, int n_tokens) const;
  static const std::byte* WeightsOf(const Product& product, const ExpertRun& run, int64_t group) {
    const ExpertWeights& weights = product.target->weights;
    return static_cast<const std::byte*>(weights.first.data) +
           static_cast<uint64_t>(run.expert) * weights.stride_bytes +
           group * product.format.group_bytes;
  }

  int64_t GroupsPerChunk(int64_t n_pairs, int n_threads) const;
  int64_t PlanChunks(int n_threads) const;
  void MultiplyChunk(int64_t chunk) const;
  void MultiplyGroups(const Product& product, const ExpertRun& run, int64_t group,
                      int64_t end_group, int64_t first_pair, int64_t end_pair) const;
  void MultiplyPanel(const Product& product, const ExpertRun& run, int64_t group, int n_groups,
                     int64_t first_pair, int64_t n_pairs) const;
  void MultiplyGroup(const Product& product, const ExpertRun& run, int64_t group,
                     int64_t first_pair, int64_t end_pair) const;

  const ExpertMatmulArgs& args_;
  const ExpertPairs& pairs_;
  const MatmulKernels& kernels_;
  const int64_t n_in_;
  const bool is_quantized_;
  const int64_t token_bytes_;  // of a tile
  const int64_t n_row_tiles_;
  bool needs_digits_ = false;
  std::array<Product, 2> products_ = {};
  int n_products_ = 0;
  int64_t n_groups_ = 0;    // of one expert's matrices
  int64_t span_pairs_ = 0;  // as SpanTokens gives
  int64_t weight_bytes_ = 0;
};

ExpertProducts::ExpertProducts(const ExpertMatmulArgs& args, const ExpertPairs& pairs,
                               CpuLevel level, bool is_quantized, GatedKernel activate)
    : args_(args),
      pairs_(pairs),
      kernels_(MatmulKernelsAt(level)),
      n_in_(args.targets[0].weights.first.shape.n_cols),
      is_quantized_(is_quantized),
      token_bytes_(is_quantized ? n_in_ / kActivationBlockColumns * kActivationBytes
                                : n_in_ * static_cast<int64_t>(sizeof(float))),
      n_row_tiles_(is_quantized && args.pairs_per_row > 1 ? args.n_x_rows : 0) {
  int64_t activation_bytes = 0;
  for (size_t i = 0; i < static_cast<size_t>(args.n_targets); ++i) {
    const WeightShape& shape = args.targets[i].weights.first.shape;
    const MatmulFormat format = FindMatmulFormat(shape.dtype, n_in_, level);
    if (format.is_quantized != is_quantized) continue;
    Product& product = products_[static_cast<size_t>(n_products_++)];
    product = {&args.targets[i], format, CeilDivide(shape.n_rows, kCpuPackRows), nullptr, false};
    needs_digits_ |= format.needs_digits;
    activation_bytes = std::max(activation_bytes, format.activation_bytes());
    n_groups_ += product.n_groups;
    weight_bytes_ += product.n_groups * format.group_bytes;
  }
  if (n_products_ == 0) return;
  span_pairs_ = SpanTokens(n_in_, activation_bytes);
  if (activate == nullptr) return;
  Product& last = products_[static_cast<size_t>(n_products_ - 1)];
  last.activate = activate;
  last.is_up = n_products_ == 2;
}

void ExpertProducts::PrepareActivations(ThreadPool& pool) const {
  ParallelRows(pool, n_row_tiles_, n_in_, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      kernels_.quantize(args_.x + row * n_in_, n_in_, 0, 1, needs_digits_, RowTile(row));
  });
  const bool only_copies = !is_quantized_ || n_row_tiles_ > 0;
  const int64_t cost = only_copies ? n_in_ / kCopiesPerQuantized : n_in_;
  ParallelRows(pool, pairs_.n_pairs(), cost, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) PreparePair(pair);
  });
}

void ExpertProducts::PreparePair(int64_t sorted_pair) const {
  const ExpertRun& run = pairs_.RunOf(sorted_pair);
  const TokenTiles tiles = TilesOf(run);
  const int64_t pair = sorted_pair - run.first_pair;
  const int64_t first = tiles.Start(pair);
  const int n_tokens = tiles.Count(first);
  const int token = static_cast<int>(pair - first);
  const int64_t row = RowOf(sorted_pair);
  if (!is_quantized_) {
    if (n_tokens > 1)
      std::memcpy(PairTile(sorted_pair), args_.x + row * n_in_, static_cast<size_t>(token_bytes_));
  } else if (n_row_tiles_ == 0) {
    kernels_.quantize(args_.x + row * n_in_, n_in_, token, n_tokens, needs_digits_,
                      PairTile(run.first_pair + first));
  } else if (n_tokens > 1) {
    CopyActivations(RowTile(row), n_in_, token, n_tokens, needs_digits_,
                    PairTile(run.first_pair + first));
  }
}

// What PreparePair left for the tile of n_tokens that starts at `pair` of the run.
const std::byte* ExpertProducts::ActivationsOf(const ExpertRun& run, int64_t pair,
                                               int n_tokens) const {
  const int64_t sorted_pair = run.first_pair + pair;
  if (n_tokens > 1) return PairTile(sorted_pair);
  if (!is_quantized_)
    return reinterpret_cast<const std::byte*>(args_.x + RowOf(sorted_pair) * n_in_);
  return n_row_tiles_ > 0 ? RowTile(RowOf(sorted_pair)) : PairTile(sorted_pair);
}

int64_t ExpertProducts::GroupsPerChunk(int64_t n_pairs, int n_threads) const {
  const int64_t tokens = std::min(n_pairs, span_pairs_);
  const auto n_runs = static_cast<int64_t>(pairs_.runs().size());
  const int64_t by_products = kChunkProducts / (kCpuPackRows * n_in_ * tokens);
  const int64_t by_bytes = kChunkBytes * n_groups_ / weight_bytes_;
  const int64_t by_balance = n_groups_ * n_runs / (kMinChunksPerThread * n_threads);
  const int64_t groups =
      std::clamp<int64_t>(std::min({by_products, by_bytes, by_balance}), 1, n_groups_);
  // Gate and up stay together, and so do groups that a panel multiplies at once.
  const bool is_panel = TokensInPanel(products_[0].format, tokens) > 0;
  const int64_t together = (is_gated() ? 2 : 1) * (is_panel ? kPanelGroups.at_once : 1);
  return CeilDivide(groups, together) * together;
}

// Gives each run its chunks: a span of its pairs times a range of the row groups of all products.
// Returns the number of all chunks.
int64_t ExpertProducts::PlanChunks(int n_threads) const {
  int64_t n_chunks = 0;
  for (ExpertRun& run : pairs_.runs()) {
    const int64_t groups = GroupsPerChunk(run.n_pairs, n_threads);
    run.groups_per_chunk = static_cast<int32_t>(groups);
    run.first_chunk = n_chunks;
    n_chunks += CeilDivide(run.n_pairs, span_pairs_) * CeilDivide(n_groups_, groups);
  }
  return n_chunks;
}

void ExpertProducts::Multiply(CpuStream& stream) const {
  ThreadPool& pool = stream.pool();
  FirstReads next;
  if (IsBoundByMemory(args_.n_x_rows, weight_bytes_, pool.n_threads()))  // {}: experts change
    next = stream.product_order().Begin(args_.targets[0].weights.first.data, {});
  pool.ParallelFor(
      PlanChunks(pool.n_threads()), [this](int64_t chunk, int) { MultiplyChunk(chunk); }, next);
}

void ExpertProducts::MultiplyChunk(int64_t chunk) const {
  const std::span<ExpertRun> runs = pairs_.runs();
  const auto after =
      std::upper_bound(runs.begin(), runs.end(), chunk,
                       [](int64_t value, const ExpertRun& run) { return value < run.first_chunk; });
  const ExpertRun& run = *(after - 1);
  const int64_t within = chunk - run.first_chunk;
  const int64_t chunks_per_span = CeilDivide(n_groups_, run.groups_per_chunk);
  const int64_t first_pair = within / chunks_per_span * span_pairs_;
  const int64_t end_pair = std::min<int64_t>(run.n_pairs, first_pair + span_pairs_);
  int64_t group = within % chunks_per_span * run.groups_per_chunk;
  int64_t end_group = std::min(n_groups_, group + run.groups_per_chunk);
  if (is_gated()) {
    for (const size_t i : {0, 1})  // gate, then up; as in matmul.cpp
      MultiplyGroups(products_[i], run, group / 2, end_group / 2, first_pair, end_pair);
    return;
  }
  for (int i = 0; i < n_products_; ++i) {
    const Product& product = products_[static_cast<size_t>(i)];
    MultiplyGroups(product, run, group, std::min(end_group, product.n_groups), first_pair,
                   end_pair);
    group = std::max<int64_t>(0, group - product.n_groups);  // numbers within the next matrix
    end_group -= product.n_groups;
    if (end_group <= 0) return;
  }
}

// Does nothing where `group` is not below `end_group`.
void ExpertProducts::MultiplyGroups(const Product& product, const ExpertRun& run, int64_t group,
                                    int64_t end_group, int64_t first_pair, int64_t end_pair) const {
  const int64_t n_paneled = TokensInPanel(product.format, end_pair - first_pair);
  if (n_paneled > 0) {
    for (int64_t g = group; g < end_group; g += kPanelGroups.max)
      MultiplyPanel(product, run, g, static_cast<int>(std::min(kPanelGroups.max, end_group - g)),
                    first_pair, n_paneled);
  }
  if (first_pair + n_paneled == end_pair) return;
  for (; group < end_group; ++group)
    MultiplyGroup(product, run, group, first_pair + n_paneled, end_pair);
}

// Where StoreSums writes the rows of `group` for `pair`.
float* ResultsOf(const Product& product, float* first_y, int64_t group, int64_t pair) {
  float* const y = product.activate != nullptr ? first_y : product.target->y;
  return y + pair * product.target->weights.first.shape.n_rows + group * kCpuPackRows;
}

// Asks for what StoreSums will write, as in matmul.cpp.
void PrefetchResults(const Product& product, float* first_y, int64_t group, int n_groups,
                     int64_t pair) {
  const float* y = ResultsOf(product, first_y, group, pair);
  for (int g = 0; g < n_groups; ++g) PrefetchLine(y + g * kCpuPackRows);
}

// y[pair, rows of the groups] = sums + bias of the expert, or the activation of that, or of the
// first target's y and that, for the given pairs. Overwrites the sums [pairs, n_groups, 16].
void StoreSums(const Product& product, float* first_y, int32_t expert, int64_t group, int n_groups,
               std::span<const int32_t> pairs, float* sums) {
  const ExpertMatmulTarget& target = *product.target;
  const int64_t n_out = target.weights.first.shape.n_rows;
  const int64_t first_row = group * kCpuPackRows;
  const int n_rows = static_cast<int>(std::min(n_groups * kCpuPackRows, n_out - first_row));
  const float* bias = target.bias == nullptr ? nullptr : target.bias + expert * n_out + first_row;
  for (const int32_t pair : pairs) {
    float* const y = ResultsOf(product, first_y, group, pair);
    if (bias != nullptr) AddRows(bias, n_rows, sums);
    if (product.activate == nullptr) {
      StoreRows(sums, n_rows, y);
    } else if (product.is_up) {
      product.activate(y, sums, y, n_rows);
    } else {
      product.activate(sums, kOnes.data(), y, n_rows);
    }
    sums += n_groups * kCpuPackRows;
  }
}

void ExpertProducts::MultiplyGroup(const Product& product, const ExpertRun& run, int64_t group,
                                   int64_t first_pair, int64_t end_pair) const {
  alignas(64) float sums[kMaxTokensAtOnce * kCpuPackRows];
  const MatmulFormat& format = product.format;
  TileArgs tile = {};
  tile.weights = WeightsOf(product, run, group);
  tile.activation_stride = n_in_;
  tile.n_cols = n_in_;
  tile.sums = sums;
  const TokenTiles tiles = TilesOf(run);
  for (int64_t pair = first_pair; pair < end_pair;) {
    const int n_tokens = tiles.Count(pair);
    tile.n_tiles = tiles.CountTiles(pair, end_pair);
    tile.activations = ActivationsOf(run, pair, n_tokens);
    tile.prefetch = pair == first_pair;  // from the second time on the group is in a cache
    const int n_pairs = n_tokens * tile.n_tiles;
    const std::span<const int32_t> stored(pairs_.order() + run.first_pair + pair,
                                          static_cast<size_t>(n_pairs));
    for (size_t i = 0; n_pairs > 1 && i < stored.size(); ++i)
      PrefetchResults(product, args_.targets[0].y, group, 1, stored[i]);
    format.kernels[n_tokens - 1](tile);
    StoreSums(product, args_.targets[0].y, run.expert, group, 1, stored, sums);
    pair += n_pairs;
  }
}

void ExpertProducts::MultiplyPanel(const Product& product, const ExpertRun& run, int64_t group,
                                   int n_groups, int64_t first_pair, int64_t n_pairs) const {
  const int32_t* const stored = pairs_.order() + run.first_pair + first_pair;
  float* const first_y = args_.targets[0].y;
  RunPanel(
      product.format.panel,
      {.weights = WeightsOf(product, run, group),
       .group_bytes = product.format.group_bytes,
       .n_groups = n_groups,
       .activations = ActivationsOf(run, first_pair, kTileTokens),
       .n_digits = 0,
       .n_cols = n_in_,
       .n_tiles = 0,
       .sums = nullptr},
      kTileTokens, n_pairs,
      [&](int64_t p) { PrefetchResults(product, first_y, group, n_groups, stored[p]); },
      [&](int64_t p, float* sums) {
        StoreSums(product, first_y, run.expert, group, n_groups, {stored + p, 1}, sums);
      });
}

// What Validate cannot see: device memory, and the size of a packed matrix.
Status Check(const ExpertMatmulArgs& args) {
  const ExpertWeights& weights = args.targets[0].weights;
  const int n_pairs = args.n_x_rows * args.pairs_per_row;
  for (int i = 0; i < args.n_targets; ++i) {
    const ExpertWeights& target = args.targets[static_cast<size_t>(i)].weights;
    FORGE_ASSIGN_OR_RETURN(const uint64_t bytes, CpuPackedWeightBytes(target.first.shape));
    if (target.stride_bytes < bytes)
      return InvalidArgument("expert_matmul: a matrix of " + std::to_string(bytes) +
                             " bytes does not fit stride_bytes " +
                             std::to_string(target.stride_bytes));
  }
  for (int i = 0; i < n_pairs; ++i) {
    if (args.experts[i] >= 0 && args.experts[i] < weights.n_experts) continue;
    return InvalidArgument("expert_matmul: an expert is out of range: experts[" +
                           std::to_string(i) + "] is " + std::to_string(args.experts[i]) +
                           ", n_experts " + std::to_string(weights.n_experts));
  }
  const uint64_t needed =
      ExpertPairs::WorkspaceBytes(n_pairs, weights.first.shape.n_cols, weights.n_experts);
  if (args.workspace.data == nullptr || args.workspace.bytes < needed)
    return InvalidArgument("expert_matmul: the workspace of " +
                           std::to_string(args.workspace.bytes) + " bytes is too small for " +
                           std::to_string(n_pairs) + " pairs; it needs " + std::to_string(needed));
  return Status();
}

GatedKernel ActivationKernel(const ExpertMatmulArgs& args, CpuLevel level) {
  if (!args.activation) return nullptr;
  return VectorKernelsFor(level).gated_activation[static_cast<size_t>(*args.activation)];
}

// Whether all targets take their activations quantised, or none does.
bool HasOneKind(const ExpertMatmulArgs& args, CpuLevel level) {
  const auto is_quantized = [&](const ExpertMatmulTarget& target) {
    const WeightShape& shape = target.weights.first.shape;
    return FindMatmulFormat(shape.dtype, shape.n_cols, level).is_quantized;
  };
  return args.n_targets == 1 || is_quantized(args.targets[0]) == is_quantized(args.targets[1]);
}

}  // namespace

uint64_t CpuExpertMatmulWorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts) {
  return ExpertPairs::WorkspaceBytes(max_pairs, max_cols, max_experts);
}

Status CpuExpertMatmul(const ExpertMatmulArgs& args, Stream& stream) {
  FORGE_TRY(Validate(args));
  if (args.n_x_rows == 0) return Status();
  FORGE_TRY(Check(args));
  CpuStream& cpu = AsCpu(stream);
  const ExpertPairs pairs(args);
  const GatedKernel activate = ActivationKernel(args, cpu.level());
  const bool is_fused = activate != nullptr && HasOneKind(args, cpu.level());
  for (const bool is_quantized : {true, false}) {
    const ExpertProducts products(args, pairs, cpu.level(), is_quantized,
                                  is_fused ? activate : nullptr);
    if (products.empty()) continue;
    products.PrepareActivations(cpu.pool());
    products.Multiply(cpu);
  }
  if (activate == nullptr || is_fused) return Status();
  float* const gate = args.targets[0].y;
  const float* const up = args.targets[1].y;
  const int64_t n_out = args.targets[0].weights.first.shape.n_rows;
  ParallelRows(cpu.pool(), pairs.n_pairs(), 4 * n_out, [&](int64_t begin, int64_t end) {
    activate(gate + begin * n_out, up + begin * n_out, gate + begin * n_out, (end - begin) * n_out);
  });
  return Status();
}

}  // namespace forge
