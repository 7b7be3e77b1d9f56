#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/runtime/step_context.h"
#include "engine/runtime/step_runner.h"

namespace forge {

// Of how many of its last tokens it wants logits, all or the greatest.
inline size_t CountLastRows(const StepSequence& sequence) {
  const bool wants_any =
      sequence.wants == StepOutput::kLastLogits || sequence.wants == StepOutput::kTopLogits;
  return wants_any ? sequence.n_last : 0;
}

// Computes what the sequences of a step want of its hidden states, and hands it out row by row.
//
// Works in the scratch that the layers left, in groups of rows that fit it, and takes as few to the
// host at a time: many rows take no more memory than one. Not thread-safe.
class OutputReader {
 public:
  explicit OutputReader(const Model& model);

  // REQUIRES: the layers of `batch` are enqueued on the stream of `step`. `first_token`:
  // [n_sequences + 1], the row of each sequence's first token. Waits for the stream where there is
  // something to read.
  Status Read(const StepContext& step, const StepBatch& batch, std::span<const int32_t> first_token,
              const RowReader& read_row);

 private:
  using ReadRow = std::function<void(size_t row, std::span<const float> values)>;
  // Rows of a step: those of one sequence.
  struct Rows {
    size_t first, count;
  };

  // The results of the top_logits op, one after the other in memory.
  struct TopRows {
    double* log_sum_exp;  // [n_rows]
    float* values;        // [n_rows, n_top]
    int32_t* tokens;      // [n_rows, n_top]
    size_t size_bytes;
  };

  Status ReadLastTokens(const StepContext& step, const StepBatch& batch, const RowReader& read_row);
  // A row of scratch.logits.
  struct LastRow {
    size_t sequence, token;
  };
  Status ReadTop(const StepContext& step, const StepBatch& batch, std::span<const LastRow> wanted,
                 const RowReader& read_row);
  // scratch.logits = those of the rows that the step's logit_rows names.
  static Status ComputeLastLogits(const StepContext& step, int n_rows);
  // The `n_top` greatest of each row of scratch.logits, on their way to host_top_.
  Status CopyTopOut(const StepContext& step, size_t n_rows, size_t n_top);
  static TopRows TopRowsAt(std::byte* data, size_t n_rows, size_t n_top);
  Status ReadAllLogits(const StepContext& step, Rows rows, const ReadRow& read);
  Status ReadAllHidden(const StepContext& step, Rows rows, const ReadRow& read);
  // scratch.normed[0, count) = output norm of the rows.
  static Status NormRows(const StepContext& step, Rows rows);
  // logits = output head of norm(x).
  static Status ComputeLogits(const StepContext& step, const float* x, const InputNorm& norm,
                              int n_rows, float* logits);
  // Copies rows to the host, as many at a time as kHostRowBytes holds, and hands out each.
  Status ReadRows(const StepContext& step, const float* rows, size_t n_rows, size_t n_cols,
                  const ReadRow& read);

  // At least one row, whatever it takes. Those of a large vocabulary come one by one: to wait for
  // each takes little beside choosing from it.
  static constexpr size_t kHostRowBytes = size_t{256} << 10;

  std::vector<float> host_rows_;  // empty before the first
  std::vector<std::byte> host_top_;
};

}  // namespace forge
