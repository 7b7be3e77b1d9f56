#include "kernels/cpu/attention_plan.h"

#include <algorithm>
#include <cstddef>

#include "kernels/cpu/attention_panel.h"

namespace forge {
namespace {

// Query rows that share one reading of a partition: enough that widening and loading it is a small
// part of the work, few enough that a chunk of prompt makes several items.
constexpr int kBlockRows = 32;

// Results of some hundred items of a usual model; below that, waves would end too often.
constexpr uint64_t kPartialBytes = uint64_t{4} << 20;

// Where the parts of a workspace start. Each is 64-byte aligned.
struct WorkspaceLayout {
  uint64_t done_counts;
  uint64_t states;
  uint64_t partials;
  uint64_t end;
};

// How many tokens of `group` rows a panel has: a power of two, so that a partition's border is one
// of theirs.
int PanelTokens(int group) {
  int n = 1;
  while (2 * n * group <= kAttentionPanelRows && 2 * n <= kAttentionPartition) n *= 2;
  return n;
}

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

uint64_t PartialFloats(uint64_t n_rows, uint64_t value_dim) { return n_rows * (value_dim + 2); }

WorkspaceLayout LayOut(int max_tokens, int n_heads, int value_dim) {
  const auto tokens = static_cast<uint64_t>(std::max(max_tokens, 0));
  const auto heads = static_cast<uint64_t>(std::max(n_heads, 0));
  const uint64_t most_rows =
      std::max<uint64_t>({heads, kBlockRows, static_cast<uint64_t>(kAttentionPanelRows)});
  const uint64_t largest_partial =
      PartialFloats(most_rows, static_cast<uint64_t>(std::max(value_dim, 0))) * sizeof(float);
  WorkspaceLayout layout;
  layout.done_counts = AlignUp(tokens * sizeof(QueryBlock));
  layout.states = layout.done_counts + AlignUp(tokens * heads * sizeof(int32_t));
  layout.partials = layout.states + AlignUp(tokens * heads * sizeof(AttentionState));
  layout.end = layout.partials + AlignUp(std::max(kPartialBytes, largest_partial));
  return layout;
}

}  // namespace

uint64_t AttentionPlan::WorkspaceBytes(int max_tokens, int n_heads, int value_dim) {
  return LayOut(max_tokens, n_heads, value_dim).end;
}

AttentionPlan::AttentionPlan(const AttentionArgs& args, bool has_panels)
    : n_kv_heads_(args.cache.n_kv_heads), value_dim_(args.cache.value_dim) {
  const WorkspaceLayout layout = LayOut(args.batch.n_tokens, args.n_heads, args.cache.value_dim);
  auto* base = static_cast<std::byte*>(args.workspace.data);
  blocks_ = reinterpret_cast<QueryBlock*>(base);
  done_counts_ = reinterpret_cast<int32_t*>(base + layout.done_counts);
  states_ = reinterpret_cast<AttentionState*>(base + layout.states);
  partials_ = reinterpret_cast<float*>(base + layout.partials);
  CutQueries(args, has_panels);
  std::fill(done_counts_, done_counts_ + n_blocks_ * n_kv_heads_, 0);
  const uint64_t partial_bytes =
      PartialFloats(static_cast<uint64_t>(max_rows_), static_cast<uint64_t>(value_dim_)) *
      sizeof(float);
  n_partials_ = static_cast<int64_t>((layout.end - layout.partials) / partial_bytes);
}

void AttentionPlan::CutQueries(const AttentionArgs& args, bool has_panels) {
  const RaggedBatch& batch = args.batch;
  const int first_of_prompts = batch.n_tokens - batch.n_prompt_tokens;
  for (int sequence = 0; sequence < batch.n_sequences; ++sequence)
    CutSequence(args, sequence, has_panels && batch.first_token[sequence] >= first_of_prompts);
}

void AttentionPlan::CutSequence(const AttentionArgs& args, int sequence, bool has_panels) {
  const RaggedBatch& batch = args.batch;
  const int group = args.n_heads / n_kv_heads_;
  const int most_tokens = has_panels ? PanelTokens(group) : std::max(1, kBlockRows / group);
  const int end = batch.first_token[sequence + 1];
  for (int first = batch.first_token[sequence]; first < end;) {
    // Where the block would begin if the step had all of its tokens.
    const int64_t whole = batch.positions[first] / most_tokens * int64_t{most_tokens};
    int n = std::min(most_tokens, end - first);
    while (has_panels && batch.positions[first + n - 1] >= whole + most_tokens) --n;
    const int64_t first_seen = FirstSeenPosition(batch.positions[first], args.window);
    const int64_t last_seen = batch.positions[first + n - 1];
    QueryBlock& block = blocks_[n_blocks_++];
    block = {.first_token = first,
             .n_tokens = n,
             .first_item = n_items_,
             .first_partition = first_seen / kAttentionPartition};
    if (has_panels) {
      const int64_t last_begin = FirstSeenPosition(whole + most_tokens - 1, args.window);
      block.first_panel = (last_begin + kAttentionPartition - 1) / kAttentionPartition;
      block.end_panel = whole / kAttentionPartition;
    }
    n_items_ += (last_seen / kAttentionPartition - block.first_partition + 1) * n_kv_heads_;
    max_rows_ = std::max(max_rows_, has_panels ? (n * group + 15) / 16 * 16 : n * group);
    n_products_ +=
        (last_seen - first_seen + 1) * n * args.n_heads * (args.cache.head_dim + value_dim_);
    first += n;
  }
}

AttentionItem AttentionPlan::Find(int64_t item) const {
  const QueryBlock* after =
      std::upper_bound(blocks_, blocks_ + n_blocks_, item,
                       [](int64_t value, const QueryBlock& b) { return value < b.first_item; });
  const QueryBlock* block = after - 1;
  const int64_t items_end = after == blocks_ + n_blocks_ ? n_items_ : after->first_item;
  const int64_t n_items = (items_end - block->first_item) / n_kv_heads_;  // of a task
  const int64_t within = item - block->first_item;
  const int64_t kv_head = within / n_items;
  return {.block = block,
          .task = (block - blocks_) * n_kv_heads_ + kv_head,
          .kv_head = static_cast<int>(kv_head),
          .index = within % n_items,
          .n_items = n_items};
}

AttentionPartial AttentionPlan::PartialOf(int64_t slot) const {
  float* sums = partials_ + slot * max_rows_ * (value_dim_ + 2);
  float* maxima = sums + max_rows_ * value_dim_;
  return {.sums = sums, .maxima = maxima, .totals = maxima + max_rows_};
}

}  // namespace forge
