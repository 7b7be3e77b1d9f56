#include "engine/runtime/output_reader.h"

#include <algorithm>

namespace forge {

OutputReader::OutputReader(const Model& model)
    : host_rows_(size_t{model.plan().scratch.max_logit_rows} *
                 std::max(model.config().n_vocab, model.config().n_embd)) {}

Status OutputReader::Read(const StepContext& step, const StepBatch& batch,
                          std::span<const int32_t> first_token, const RowReader& read_row) {
  FORGE_TRY(ReadLastLogits(step, batch, read_row));
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const Rows rows = {static_cast<size_t>(first_token[s]), batch.sequences[s].tokens.size()};
    const auto read = [&](size_t row, std::span<const float> values) { read_row(s, row, values); };
    if (batch.sequences[s].wants == StepOutput::kAllLogits)
      FORGE_TRY(ReadAllLogits(step, rows, read));
    if (batch.sequences[s].wants == StepOutput::kAllHidden)
      FORGE_TRY(ReadAllHidden(step, rows, read));
  }
  return Status();
}

Status OutputReader::ReadLastLogits(const StepContext& step, const StepBatch& batch,
                                    const RowReader& read_row) {
  std::vector<size_t> wanted;  // sequences
  for (size_t s = 0; s < batch.sequences.size(); ++s)
    if (batch.sequences[s].wants == StepOutput::kLastLogits) wanted.push_back(s);
  if (wanted.empty()) return Status();
  const ScratchPlan& scratch = step.scratch();
  const auto n_rows = static_cast<int>(wanted.size());
  float* const gathered = step.Floats(scratch.gathered);
  float* const logits = step.Floats(scratch.logits);
  FORGE_TRY(step.ops().gather_rows({.x = step.Floats(scratch.hidden),
                                    .rows = step.model().Scratch<int32_t>(scratch.logit_rows),
                                    .y = gathered,
                                    .n_x_rows = step.n_tokens(),
                                    .n_rows = n_rows,
                                    .dim = static_cast<int>(step.config().n_embd)},
                                   step.stream()));
  FORGE_TRY(step.Norm(step.model().weights().output_norm, gathered, gathered, n_rows));
  FORGE_TRY(ComputeLogits(step, gathered, n_rows, logits));
  return ReadRows(step, logits, wanted.size(), step.config().n_vocab,
                  [&](size_t row, std::span<const float> values) {
                    const size_t s = wanted[row];
                    read_row(s, batch.sequences[s].tokens.size() - 1, values);
                  });
}

Status OutputReader::ReadAllLogits(const StepContext& step, Rows rows, const ReadRow& read) {
  const ScratchPlan& scratch = step.scratch();
  const size_t n_vocab = step.config().n_vocab;
  const float* const normed = step.Floats(scratch.normed);
  float* const logits = step.Floats(scratch.logit_area);
  FORGE_TRY(NormRows(step, rows));
  const size_t group = scratch.logit_area.size_bytes / (n_vocab * sizeof(float));
  for (size_t begin = 0; begin < rows.count; begin += group) {
    const size_t n = std::min(group, rows.count - begin);
    FORGE_TRY(
        ComputeLogits(step, normed + begin * step.config().n_embd, static_cast<int>(n), logits));
    FORGE_TRY(ReadRows(step, logits, n, n_vocab, [&](size_t row, std::span<const float> values) {
      read(begin + row, values);
    }));
  }
  return Status();
}

Status OutputReader::ReadAllHidden(const StepContext& step, Rows rows, const ReadRow& read) {
  FORGE_TRY(NormRows(step, rows));
  return ReadRows(step, step.Floats(step.scratch().normed), rows.count, step.config().n_embd, read);
}

Status OutputReader::NormRows(const StepContext& step, Rows rows) {
  const float* const hidden =
      step.Floats(step.scratch().hidden) + rows.first * step.config().n_embd;
  return step.Norm(step.model().weights().output_norm, hidden, step.Floats(step.scratch().normed),
                   static_cast<int>(rows.count));
}

Status OutputReader::ComputeLogits(const StepContext& step, const float* normed, int n_rows,
                                   float* logits) {
  const WeightView& output = step.model().weights().output;
  FORGE_TRY(step.ops().matmul({.x = normed,
                               .n_tokens = n_rows,
                               .n_targets = 1,
                               .targets = {{{.weight = output, .y = logits}}},
                               .workspace = step.WorkspaceOf(step.scratch().matmul_workspace)},
                              step.stream()));
  const double soft_cap = step.config().final_soft_cap;
  if (soft_cap == 0.0) return Status();
  return step.ops().soft_cap({.x = logits,
                              .y = logits,
                              .n = n_rows * output.shape.n_rows,
                              .cap = static_cast<float>(soft_cap)},
                             step.stream());
}

Status OutputReader::ReadRows(const StepContext& step, const float* rows, size_t n_rows,
                              size_t n_cols, const ReadRow& read) {
  const size_t most = host_rows_.size() / n_cols;
  for (size_t begin = 0; begin < n_rows; begin += most) {
    const size_t n = std::min(most, n_rows - begin);
    FORGE_TRY(step.model().device().CopyOut(host_rows_.data(), rows + begin * n_cols,
                                            n * n_cols * sizeof(float), step.stream()));
    FORGE_TRY(step.stream().Synchronize());
    for (size_t row = 0; row < n; ++row)
      read(begin + row, std::span(host_rows_).subspan(row * n_cols, n_cols));
  }
  return Status();
}

}  // namespace forge
