#pragma once

#include <cstdint>

#include "kernels/api/attention.h"
#include "kernels/cpu/vector_kernels.h"

namespace forge {

// The first position that a token at `position` sees.
constexpr int64_t FirstSeenPosition(int64_t position, int64_t window) {
  return window == 0 || position < window ? 0 : position - window + 1;
}

// Adjacent tokens of one sequence whose query rows are computed together.
struct QueryBlock {
  int32_t first_token;
  int32_t n_tokens;
  int64_t first_item;
  int64_t first_partition;  // the first that any of its tokens sees
  // Those that are for AttendPanelKernel. That hangs on the tokens' positions alone, and not on
  // where steps begin: blocks are cut where positions are multiples of what one holds.
  int64_t first_panel = 0;
  int64_t end_panel = 0;
};

// One unit of work: the query rows of a block for one KV head, against one partition.
struct AttentionItem {
  const QueryBlock* block;
  int64_t task;  // counts pairs of block and KV head
  int kv_head;
  int64_t index;    // within the task
  int64_t n_items;  // of the task
  int64_t partition() const { return block->first_partition + index; }
  bool is_panel() const {
    return partition() >= block->first_panel && partition() < block->end_panel;
  }
};

// The result of an item; see AttentionPartition.
struct AttentionPartial {
  float* sums;
  float* maxima;
  float* totals;
};

// Cuts an attention into items and lays out its workspace.
//
// Items of a task are adjacent and in order of partition. The workspace keeps the results of
// n_partials() items, so items run in waves of that many.
// Lifetime: refers to the workspace of the arguments.
class AttentionPlan {
 public:
  static uint64_t WorkspaceBytes(int max_tokens, int n_heads, int value_dim);

  // REQUIRES: the arguments are valid, have tokens and a workspace of WorkspaceBytes.
  // `has_panels`: there is an AttendPanelKernel for the cache.
  AttentionPlan(const AttentionArgs& args, bool has_panels);

  int64_t n_items() const { return n_items_; }
  int64_t n_partials() const { return n_partials_; }
  // An upper estimate of the multiplications, to choose between one thread and all.
  int64_t n_products() const { return n_products_; }

  AttentionItem Find(int64_t item) const;
  AttentionPartial PartialOf(int64_t slot) const;
  // How many items of each task have run in this wave; all 0 at first.
  int32_t* done_counts() const { return done_counts_; }
  AttentionState* states() const { return states_; }  // [n_tokens, n_heads]

 private:
  void CutQueries(const AttentionArgs& args, bool has_panels);
  void CutSequence(const AttentionArgs& args, int sequence, bool has_panels);

  const int n_kv_heads_;
  const int64_t value_dim_;
  int max_rows_ = 0;  // of an item
  int64_t n_blocks_ = 0;
  int64_t n_items_ = 0;
  int64_t n_partials_ = 0;
  int64_t n_products_ = 0;

  // In the workspace.
  QueryBlock* blocks_;
  int32_t* done_counts_;
  AttentionState* states_;
  float* partials_;
};

}  // namespace forge
