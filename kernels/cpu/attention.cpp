#include "kernels/cpu/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/cpu/attention_panel.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/batch_check.h"
#include "kernels/cpu/cpu_stream.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {
namespace {

// Products below which a loop is not worth waking a worker: some microseconds on one thread.
constexpr int64_t kWorthWaking = 1 << 18;

// One run of the op: knows how to compute an item and how to merge the items of a task.
class AttentionRun {
 public:
  // `attend_panel` may be null.
  AttentionRun(const AttentionArgs& args, const AttentionPlan& plan, const VectorKernels& kernels,
               AttendPanelKernel attend_panel)
      : args_(args),
        plan_(plan),
        kernels_(kernels),
        attend_panel_(attend_panel),
        group_(args.n_heads / args.cache.n_kv_heads) {}

  // Computes item `item` of the wave [wave_begin, wave_end); the last of a task's items in the wave
  // merges them.
  void RunItem(int64_t item, int64_t wave_begin, int64_t wave_end) const {
    const AttentionItem at = plan_.Find(item);
    const bool is_last = item + 1 == plan_.n_items();
    Attend(at, is_last ? at : plan_.Find(item + 1), plan_.PartialOf(item - wave_begin));
    const int64_t task_first = item - at.index;
    const int64_t task_end = task_first + at.n_items;
    const int64_t first = std::max(task_first, wave_begin);
    const int64_t end = std::min(task_end, wave_end);
    std::atomic_ref<int32_t> n_done(plan_.done_counts()[at.task]);
    if (n_done.fetch_add(1, std::memory_order_acq_rel) + 1 != end - first) return;
    n_done.store(0, std::memory_order_relaxed);
    if (first == task_first) StartRows(at);
    for (int64_t i = first; i < end; ++i)
      Merge(at, at.block->first_partition + (i - task_first), plan_.PartialOf(i - wave_begin));
    if (end == task_end) Finish(at);
  }

 private:
  // `next`: the item that the thread is likely to compute then.
  void Attend(const AttentionItem& at, const AttentionItem& next,
              const AttentionPartial& partial) const;
  // The first position of the item's partition that its query block sees.
  int64_t FirstSeen(const AttentionItem& at) const {
    return std::max(at.partition() * kAttentionPartition,
                    FirstSeenPosition(args_.batch.positions[at.block->first_token], args_.window));
  }
  int CollectSegments(const AttentionItem& at, KvSegment* segments) const;
  void StartRows(const AttentionItem& at) const;
  void Merge(const AttentionItem& at, int64_t partition, const AttentionPartial& partial) const;
  void Finish(const AttentionItem& at) const;

  int64_t RowIndex(const AttentionItem& at, int row) const {
    const int64_t token = at.block->first_token + row / group_;
    return token * args_.n_heads + static_cast<int64_t>(at.kv_head) * group_ + row % group_;
  }

  const AttentionArgs& args_;
  const AttentionPlan& plan_;
  const VectorKernels& kernels_;
  const AttendPanelKernel attend_panel_;
  const int group_;
};

// Cuts the item's partition, from the first position to the last that the query block sees, at the
// borders of cache blocks; at most kAttentionPartition segments, which have at least one position.
int AttentionRun::CollectSegments(const AttentionItem& at, KvSegment* segments) const {
  const KvLayerView& cache = args_.cache;
  const QueryBlock& block = *at.block;
  const int64_t sequence = args_.batch.token_sequence[block.first_token];
  const int32_t* table = args_.batch.block_tables + sequence * args_.batch.max_blocks;
  const int64_t last = args_.batch.positions[block.first_token + block.n_tokens - 1];
  const int64_t end = std::min<int64_t>((at.partition() + 1) * kAttentionPartition, last + 1);
  int64_t position = FirstSeen(at);
  int64_t offset = position % cache.block_tokens;
  int64_t entry = position / cache.block_tokens % args_.batch.max_blocks;
  int n_segments = 0;
  for (; position < end; offset = 0) {
    const int64_t cache_block = table[entry];
    if (++entry == args_.batch.max_blocks) entry = 0;
    const int64_t n = std::min<int64_t>(cache.block_tokens - offset, end - position);
    const CpuKvPlace keys = CpuKeyPlace(cache, cache_block, at.kv_head, offset);
    const CpuKvPlace values = cache.values_in_keys
                                  ? CpuValueInKeyPlace(cache, cache_block, at.kv_head, offset)
                                  : CpuValuePlace(cache, cache_block, at.kv_head, offset);
    segments[n_segments++] = {.keys = keys.elements,
                              .values = values.elements,
                              .key_scales = keys.scales,
                              .value_scales = values.scales,
                              .n = static_cast<int>(n)};
    position += n;
  }
  return n_segments;
}

void AttentionRun::Attend(const AttentionItem& at, const AttentionItem& next,
                          const AttentionPartial& partial) const {
  KvSegment segments[2 * kAttentionPartition];
  const QueryBlock& block = *at.block;
  const int64_t first_position = at.partition() * kAttentionPartition;
  const int n_segments = CollectSegments(at, segments);
  const AttentionPartition partition = {
      .segments = segments,
      .n_segments = n_segments,
      .n_next = CollectSegments(next, segments + n_segments),
      .key_stride = args_.cache.block_tokens,
      .head_dim = args_.cache.head_dim,
      .value_dim = args_.cache.value_dim,
      .values_in_keys = args_.cache.values_in_keys,
      .scale = args_.scale,
      .soft_cap = args_.soft_cap,
      .window = args_.window,
      .q = args_.q + RowIndex(at, 0) * args_.cache.head_dim,
      .q_token_stride = static_cast<int64_t>(args_.n_heads) * args_.cache.head_dim,
      .n_tokens = block.n_tokens,
      .group = group_,
      .positions = args_.batch.positions + block.first_token,
      .first_position = first_position,
      .first_column = static_cast<int>(FirstSeen(at) - first_position),
      .sums = partial.sums,
      .maxima = partial.maxima,
      .totals = partial.totals,
  };
  if (at.is_panel()) return attend_panel_(partition);
  kernels_.attend[static_cast<size_t>(args_.cache.dtype)](partition);
}

// A sink is what a row has gathered before its first partition: a position with value 0.
void AttentionRun::StartRows(const AttentionItem& at) const {
  const int64_t value_dim = args_.cache.value_dim;
  const int n_rows = at.block->n_tokens * group_;
  for (int row = 0; row < n_rows; ++row) {
    const int64_t index = RowIndex(at, row);
    plan_.states()[index] =
        args_.sinks == nullptr
            ? AttentionState{.maximum = -std::numeric_limits<float>::infinity(), .total = 0.0f}
            : AttentionState{.maximum = args_.sinks[index % args_.n_heads], .total = 1.0f};
    float* y = args_.y + index * value_dim;
    std::fill(y, y + value_dim, 0.0f);
  }
}

void AttentionRun::Merge(const AttentionItem& at, int64_t partition,
                         const AttentionPartial& partial) const {
  const int64_t value_dim = args_.cache.value_dim;
  const int n_rows = at.block->n_tokens * group_;
  for (int row = 0; row < n_rows; ++row) {
    const int64_t index = RowIndex(at, row);
    // An earlier token of the block may not see this partition yet, a later one no more.
    const int64_t position = args_.batch.positions[at.block->first_token + row / group_];
    const int64_t begin = partition * kAttentionPartition;
    if (position < begin ||
        FirstSeenPosition(position, args_.window) >= begin + kAttentionPartition)
      continue;
    kernels_.merge_partition(partial.sums + row * value_dim, partial.maxima[row],
                             partial.totals[row], plan_.states()[index],
                             args_.y + index * value_dim, value_dim);
  }
}

void AttentionRun::Finish(const AttentionItem& at) const {
  const int n_rows = at.block->n_tokens * group_;
  for (int row = 0; row < n_rows; ++row) {
    const int64_t index = RowIndex(at, row);
    kernels_.finish_row(args_.y + index * args_.cache.value_dim, plan_.states()[index].total,
                        args_.cache.value_dim);
  }
}

}  // namespace

AttendPanelKernel FindAttendPanel(const KvLayerView& cache, CpuLevel level) {
#if defined(__x86_64__)
  const bool fits = !cache.values_in_keys && cache.block_tokens % 32 == 0 &&
                    kAttentionPartition % cache.block_tokens == 0 && cache.head_dim % 2 == 0 &&
                    cache.head_dim <= kMaxPanelHeadDim && cache.value_dim % 16 == 0;
  if (level == CpuLevel::kAmx && fits) return kAttendPanelAmx[static_cast<size_t>(cache.dtype)];
#endif
  static_cast<void>(cache);
  static_cast<void>(level);
  return nullptr;
}

uint64_t CpuAttentionWorkspaceBytes(int max_tokens, int n_heads, int value_dim) {
  return AttentionPlan::WorkspaceBytes(max_tokens, n_heads, value_dim);
}

Status CpuAttention(const AttentionArgs& given, Stream& stream) {
  FORGE_TRY(Validate(given));
  if (given.batch.n_tokens == 0) return Status();
  FORGE_TRY(CheckBatch(given.batch, given.cache, given.window).WithContext("attention"));
  AttentionArgs args = given;
  if (given.last_seen != nullptr) {
    FORGE_TRY(CheckLastSeen(given.batch, given.last_seen).WithContext("attention"));
    args.batch.positions = given.last_seen;  // from here on they say no more than what is seen
  }
  const uint64_t needed =
      CpuAttentionWorkspaceBytes(args.batch.n_tokens, args.n_heads, args.cache.value_dim);
  if (args.workspace.bytes < needed)
    return InvalidArgument("attention: the workspace is too small: needed " +
                           std::to_string(needed) + " bytes, given " +
                           std::to_string(args.workspace.bytes));
  CpuStream& cpu = AsCpu(stream);
  // Where tokens see those after them, `positions` are not theirs.
  const AttendPanelKernel attend_panel =
      given.last_seen == nullptr && args.n_heads / args.cache.n_kv_heads <= kAttentionPanelRows
          ? FindAttendPanel(args.cache, cpu.level())
          : nullptr;
  const AttentionPlan plan(args, attend_panel != nullptr);
  const AttentionRun run(args, plan, VectorKernelsFor(cpu.level()), attend_panel);
  for (int64_t begin = 0; begin < plan.n_items(); begin += plan.n_partials()) {
    const int64_t end = std::min(plan.n_items(), begin + plan.n_partials());
    if (plan.n_products() < kWorthWaking) {
      for (int64_t item = begin; item < end; ++item) run.RunItem(item, begin, end);
      continue;
    }
    cpu.pool().ParallelFor(end - begin,
                           [&](int64_t chunk, int) { run.RunItem(begin + chunk, begin, end); });
  }
  return Status();
}

}  // namespace forge
