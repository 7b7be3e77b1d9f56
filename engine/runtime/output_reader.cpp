#include "engine/runtime/output_reader.h"

#include <algorithm>

namespace forge {

OutputReader::OutputReader(const Model& model)
    : host_top_(model.plan().scratch.top_logits.size_bytes) {}

Status OutputReader::Read(const StepContext& step, const StepBatch& batch,
                          std::span<const int32_t> first_token, const RowReader& read_row) {
  FORGE_TRY(ReadLastTokens(step, batch, read_row));
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const Rows rows = {static_cast<size_t>(first_token[s]), batch.sequences[s].tokens.size()};
    const auto read = [&](size_t row, std::span<const float> values) {
      if (batch.goes_on) static_cast<void>(batch.goes_on());
      read_row(s, row, {.values = values});
    };
    if (batch.sequences[s].wants == StepOutput::kAllLogits)
      FORGE_TRY(ReadAllLogits(step, rows, read));
    if (batch.sequences[s].wants == StepOutput::kAllHidden)
      FORGE_TRY(ReadAllHidden(step, rows, read));
  }
  return Status();
}

Status OutputReader::ReadLastTokens(const StepContext& step, const StepBatch& batch,
                                    const RowReader& read_row) {
  std::vector<LastRow> wanted;
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const size_t n_tokens = batch.sequences[s].tokens.size();
    for (size_t token = n_tokens - CountLastRows(batch.sequences[s]); token < n_tokens; ++token)
      wanted.push_back({s, token});
  }
  if (wanted.empty()) return Status();
  const size_t n_vocab = step.config().n_vocab;
  const float* const logits = step.Floats(step.scratch().logits);
  FORGE_TRY(ComputeLastLogits(step, static_cast<int>(wanted.size())));
  FORGE_TRY(ReadTop(step, batch, wanted, read_row));
  const auto wants_all = [&](size_t row) {
    return row < wanted.size() &&
           batch.sequences[wanted[row].sequence].wants == StepOutput::kLastLogits;
  };
  for (size_t begin = 0; begin < wanted.size(); ++begin) {
    size_t end = begin;
    while (wants_all(end)) ++end;
    const auto read = [&](size_t row, std::span<const float> values) {
      const LastRow& last = wanted[begin + row];
      read_row(last.sequence, last.token, {.values = values});
    };
    FORGE_TRY(ReadRows(step, logits + begin * n_vocab, end - begin, n_vocab, read));
    begin = end;
  }
  return Status();
}

Status OutputReader::ReadTop(const StepContext& step, const StepBatch& batch,
                             std::span<const LastRow> wanted, const RowReader& read_row) {
  size_t n_top = 0;
  for (const StepSequence& sequence : batch.sequences)
    if (sequence.wants == StepOutput::kTopLogits) n_top = std::max<size_t>(n_top, sequence.n_top);
  if (n_top == 0) return Status();
  FORGE_TRY(CopyTopOut(step, wanted.size(), n_top));
  FORGE_TRY(step.stream().Synchronize());
  const TopRows top = TopRowsAt(host_top_.data(), wanted.size(), n_top);
  for (size_t row = 0; row < wanted.size(); ++row) {
    const StepSequence& sequence = batch.sequences[wanted[row].sequence];
    if (sequence.wants != StepOutput::kTopLogits) continue;
    read_row(wanted[row].sequence, wanted[row].token,
             {.values = {top.values + row * n_top, sequence.n_top},
              .tokens = {top.tokens + row * n_top, sequence.n_top},
              .log_sum_exp = top.log_sum_exp[row]});
  }
  return Status();
}

Status OutputReader::ComputeLastLogits(const StepContext& step, int n_rows) {
  const ScratchPlan& scratch = step.scratch();
  float* const gathered = step.Floats(scratch.gathered);
  FORGE_TRY(step.ops().gather_rows({.x = step.Floats(scratch.hidden),
                                    .rows = step.indices().logit_rows,
                                    .y = gathered,
                                    .n_x_rows = step.n_tokens(),
                                    .n_rows = n_rows,
                                    .dim = static_cast<int>(step.config().n_embd)},
                                   step.stream()));
  const ModelWeights& weights = step.model().weights();
  const InputNorm norm = step.InputNormOf(weights.output_norm, weights.output_norm_bias);
  return ComputeLogits(step, gathered, norm, n_rows, step.Floats(scratch.logits));
}

Status OutputReader::CopyTopOut(const StepContext& step, size_t n_rows, size_t n_top) {
  auto* const results = step.model().Scratch<std::byte>(step.scratch().top_logits);
  const TopRows top = TopRowsAt(results, n_rows, n_top);
  FORGE_TRY(step.ops().top_logits({.x = step.Floats(step.scratch().logits),
                                   .values = top.values,
                                   .columns = top.tokens,
                                   .log_sum_exp = top.log_sum_exp,
                                   .n_rows = static_cast<int>(n_rows),
                                   .n_cols = static_cast<int>(step.config().n_vocab),
                                   .k = static_cast<int>(n_top)},
                                  step.stream()));
  return step.model().device().CopyOut(host_top_.data(), results, top.size_bytes, step.stream());
}

OutputReader::TopRows OutputReader::TopRowsAt(std::byte* data, size_t n_rows, size_t n_top) {
  std::byte* const values = data + n_rows * sizeof(double);
  std::byte* const tokens = values + n_rows * n_top * sizeof(float);
  std::byte* const end = tokens + n_rows * n_top * sizeof(int32_t);
  return {.log_sum_exp = reinterpret_cast<double*>(data),
          .values = reinterpret_cast<float*>(values),
          .tokens = reinterpret_cast<int32_t*>(tokens),
          .size_bytes = static_cast<size_t>(end - data)};
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
    FORGE_TRY(ComputeLogits(step, normed + begin * step.config().n_embd, {}, static_cast<int>(n),
                            logits));
    FORGE_TRY(ReadRows(step, logits, n, n_vocab, [&](size_t row, std::span<const float> values) {
      read(begin + row, values);
    }));
  }
  return Status();
}

Status OutputReader::ReadAllHidden(const StepContext& step, Rows rows, const ReadRow& read) {
  const size_t n_embd = step.config().n_embd;
  if (step.config().is_encoder)  // the last layer ends with a norm
    return ReadRows(step, step.Floats(step.scratch().hidden) + rows.first * n_embd, rows.count,
                    n_embd, read);
  FORGE_TRY(NormRows(step, rows));
  // The weights of the output norm have the scale of the logits in them.
  const auto scale = static_cast<float>(1.0 / step.config().logit_scale);
  std::vector<float> hidden(n_embd);
  return ReadRows(step, step.Floats(step.scratch().normed), rows.count, n_embd,
                  [&](size_t row, std::span<const float> values) {
                    std::ranges::transform(values, hidden.begin(),
                                           [scale](float value) { return value * scale; });
                    read(row, hidden);
                  });
}

Status OutputReader::NormRows(const StepContext& step, Rows rows) {
  const float* const hidden =
      step.Floats(step.scratch().hidden) + rows.first * step.config().n_embd;
  const ModelWeights& weights = step.model().weights();
  return step.Norm(weights.output_norm, weights.output_norm_bias, hidden,
                   step.Floats(step.scratch().normed), static_cast<int>(rows.count));
}

Status OutputReader::ComputeLogits(const StepContext& step, const float* x, const InputNorm& norm,
                                   int n_rows, float* logits) {
  const WeightView& output = step.model().weights().output;
  const float* const bias = step.model().weights().output_bias;
  FORGE_TRY(step.ops().matmul({.x = x,
                               .n_tokens = n_rows,
                               .norm = norm,
                               .n_targets = 1,
                               .targets = {{{.weight = output, .bias = bias, .y = logits}}},
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
  const size_t most = std::max<size_t>(1, kHostRowBytes / (n_cols * sizeof(float)));
  host_rows_.resize(std::max(host_rows_.size(), std::min(most, n_rows) * n_cols));
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
