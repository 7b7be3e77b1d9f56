#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/runtime/step_context.h"
#include "engine/runtime/step_runner.h"

namespace forge {

// Computes what the sequences of a step want of its hidden states, and hands it out row by row.
//
// Works in the scratch that the layers left, in groups of rows that fit it: many rows take no more
// memory than one. Not thread-safe.
class OutputReader {
 public:
  explicit OutputReader(const Model& model);

  // REQUIRES: the layers of `batch` are enqueued on the stream of `step`, and scratch.logit_rows
  // holds the last token of each sequence that wants its logits. `first_token`: [n_sequences + 1],
  // the row of each sequence's first token. Waits for the stream where there is something to read.
  Status Read(const StepContext& step, const StepBatch& batch, std::span<const int32_t> first_token,
              const RowReader& read_row);

 private:
  using ReadRow = std::function<void(size_t row, std::span<const float> values)>;
  // Rows of a step: those of one sequence.
  struct Rows {
    size_t first, count;
  };

  Status ReadLastLogits(const StepContext& step, const StepBatch& batch, const RowReader& read_row);
  Status ReadAllLogits(const StepContext& step, Rows rows, const ReadRow& read);
  Status ReadAllHidden(const StepContext& step, Rows rows, const ReadRow& read);
  // scratch.normed[0, count) = output norm of the rows.
  static Status NormRows(const StepContext& step, Rows rows);
  // logits = output head of normed rows.
  static Status ComputeLogits(const StepContext& step, const float* normed, int n_rows,
                              float* logits);
  // Copies rows to the host, a few at a time, and hands out each.
  Status ReadRows(const StepContext& step, const float* rows, size_t n_rows, size_t n_cols,
                  const ReadRow& read);

  std::vector<float> host_rows_;  // as many rows of logits as a step of decoding takes
};

}  // namespace forge
