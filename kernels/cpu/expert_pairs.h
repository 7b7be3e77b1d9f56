#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/api/expert_matmul.h"

namespace forge {

// The pairs of one expert, and the chunks of work that multiply them.
struct ExpertRun {
  int32_t expert;
  int32_t first_pair;  // of the sorted pairs
  int32_t n_pairs;     // at least 1
  int32_t groups_per_chunk;
  int64_t first_chunk;
};

// Sorts the pairs of an expert matmul by expert, pairs of one expert by rising index, and lays out
// the workspace.
//
// Lifetime: refers to the workspace of the arguments.
class ExpertPairs {
 public:
  static uint64_t WorkspaceBytes(int max_pairs, int64_t max_cols, int max_experts);

  // REQUIRES: the arguments are valid and have pairs, every expert is in range, and the workspace
  // has WorkspaceBytes.
  explicit ExpertPairs(const ExpertMatmulArgs& args);

  int64_t n_pairs() const { return n_pairs_; }
  const int32_t* order() const { return order_; }      // [n_pairs], the sorted pairs
  std::span<ExpertRun> runs() const { return runs_; }  // by rising first_pair
  const ExpertRun& RunOf(int64_t sorted_pair) const;
  // Room for n_pairs rows of float32, or for n_pairs rows quantised as in activation.h and half as
  // many more: the rows of which each has two pairs or more. 64-byte aligned.
  std::byte* activations() const { return activations_; }

 private:
  const int64_t n_pairs_;
  int32_t* order_;
  std::span<ExpertRun> runs_;
  std::byte* activations_;
};

}  // namespace forge
