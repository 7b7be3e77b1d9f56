#include "tests/engine/runtime/fake_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/gguf/gguf_file.h"
#include "engine/runtime/output_reader.h"
#include "kernels/base/log_sum_exp.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {

const Tokenizer& TestTokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = [] {
    const TempFile file(MakeTinyModel({}).Build());
    return Tokenizer::Create((*GgufFile::Open(file.path().string()))->metadata()).value();
  }();
  return *tokenizer;
}

std::vector<TokenId> TestTokens(std::string_view text) {
  return TestTokenizer().Encode(text, {.add_special = false, .parse_special = false});
}

FakeModel::FakeModel(const SchedulerOptions& options) : options_(options) {
  for (const KvGroup& group : options.kv_groups)
    caches_.emplace_back(size_t{group.n_blocks} * options.block_tokens, -1);
  states_.resize(options.n_state_slots);
}

Status FakeModel::Run(const StepBatch& batch, const RowReader& read_row) {
  if (during_step) during_step();
  if (failure || (batch.goes_on && !batch.goes_on())) {
    for (const StepSequence& sequence : batch.sequences) Spoil(sequence);
    return failure.value_or(Cancelled("given up"));
  }
  std::vector<Part> parts;
  for (const StepSequence& sequence : batch.sequences) Store(sequence);
  if (!states_.empty())
    for (const StepSequence& sequence : batch.sequences) StoreState(sequence);
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const StepSequence& sequence = batch.sequences[s];
    const size_t n_tokens = sequence.tokens.size();
    parts.push_back({sequence.first_position, static_cast<uint32_t>(n_tokens), sequence.wants,
                     sequence.is_generated});
    if (sequence.wants == StepOutput::kNothing) continue;
    const std::vector<TokenId> all = ReadBack(sequence);
    const size_t n_last = CountLastRows(sequence);
    for (size_t token = n_last > 0 ? n_tokens - n_last : 0; token < n_tokens; ++token) {
      const auto tokens = std::span(all).first(sequence.first_position + token + 1);
      ReadRow(sequence, tokens, [&](const StepRow& row) { read_row(s, token, row); });
    }
  }
  steps_.push_back(std::move(parts));
  return Status();
}

void FakeModel::ReadRow(const StepSequence& sequence, std::span<const TokenId> tokens,
                        const std::function<void(const StepRow&)>& read) const {
  if (sequence.wants == StepOutput::kAllHidden) return read({.values = Hidden(tokens)});
  const std::vector<float> logits = Logits(tokens);
  if (sequence.wants != StepOutput::kTopLogits) return read({.values = logits});
  std::vector<TokenId> top(logits.size());
  std::iota(top.begin(), top.end(), 0);
  const auto logit = [&](TokenId token) { return logits[static_cast<size_t>(token)]; };
  std::ranges::stable_sort(top, std::ranges::greater(), logit);
  top.resize(sequence.n_top);
  std::vector<float> values;
  std::ranges::transform(top, std::back_inserter(values), logit);
  read({.values = values, .tokens = top, .log_sum_exp = LogSumExp(logits)});
}

std::vector<float> FakeModel::Logits(std::span<const TokenId> sequence) const {
  std::vector<float> logits(options_.limits.n_vocab,
                            computes_nonsense ? std::numeric_limits<float>::quiet_NaN() : 0.0f);
  logits[static_cast<size_t>(Next(sequence))] += 20.0f;
  return logits;
}

std::vector<float> FakeModel::Hidden(std::span<const TokenId> sequence) const {
  if (computes_nonsense) return {std::numeric_limits<float>::quiet_NaN()};
  return {static_cast<float>(sequence.size()), static_cast<float>(Next(sequence)), 1.0f};
}

TokenId& FakeModel::Slot(size_t group, const StepSequence& sequence, size_t position) {
  const size_t index = position / options_.block_tokens;
  const KvGroup& limits = options_.kv_groups[group];
  const size_t in_table = limits.window != 0 ? index % limits.blocks_per_sequence : index;
  const auto block = static_cast<size_t>(sequence.blocks[group].at(in_table));
  return caches_[group][block * options_.block_tokens + position % options_.block_tokens];
}

void FakeModel::Store(const StepSequence& sequence) {
  for (size_t group = 0; group < caches_.size(); ++group)
    for (size_t i = 0; i < sequence.tokens.size(); ++i)
      Slot(group, sequence, sequence.first_position + i) = sequence.tokens[i];
}

void FakeModel::StoreState(const StepSequence& sequence) {
  const StateSlots& slots = sequence.state;
  std::vector<TokenId> state;
  if (slots.from >= 0) state = states_.at(static_cast<size_t>(slots.from));
  for (size_t position = 0; position < sequence.first_position; ++position)
    if (state.size() != sequence.first_position || state[position] != Slot(0, sequence, position))
      Slot(0, sequence, position) = -1;
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    state.push_back(sequence.tokens[i]);
    if (i + 1 == slots.kept_after) states_.at(static_cast<size_t>(slots.kept_to)) = state;
  }
  states_.at(static_cast<size_t>(slots.to)) = state;
}

void FakeModel::Spoil(const StepSequence& sequence) {
  for (size_t group = 0; group < caches_.size(); ++group)
    for (size_t i = 0; i < sequence.tokens.size(); ++i)
      Slot(group, sequence, sequence.first_position + i) = -1;
  if (sequence.state.to >= 0) states_.at(static_cast<size_t>(sequence.state.to)) = {-1};
  if (sequence.state.kept_after > 0) states_.at(static_cast<size_t>(sequence.state.kept_to)) = {-1};
}

// The first group gives the sequence. A later one, a ring, must agree on what the step's first
// token sees; where it does not, the token is replaced.
std::vector<TokenId> FakeModel::ReadBack(const StepSequence& sequence) {
  const size_t end = sequence.first_position + sequence.tokens.size();
  std::vector<TokenId> tokens;
  for (size_t position = 0; position < end; ++position)
    tokens.push_back(Slot(0, sequence, position));
  for (size_t group = 1; group < caches_.size(); ++group) {
    const size_t window = options_.kv_groups[group].window;
    const size_t first =
        sequence.first_position + 1 > window ? sequence.first_position + 1 - window : 0;
    for (size_t position = first; position < end; ++position)
      if (Slot(group, sequence, position) != tokens[position]) tokens[position] = -1;
  }
  return tokens;
}

TokenId FakeModel::Next(std::span<const TokenId> sequence) const {
  if (const std::optional<TokenId> scripted = script ? script(sequence) : std::nullopt)
    return *scripted;
  uint64_t hash = 1469598103934665603u;  // FNV-1a
  for (const TokenId token : sequence)
    hash = (hash ^ static_cast<uint64_t>(token)) * 1099511628211u;
  // The last three tokens of the vocabulary end answers.
  return static_cast<TokenId>((hash >> 20) % (options_.limits.n_vocab - 3));
}

std::vector<TokenId> FakeModel::Continue(std::vector<TokenId> prompt, size_t n) const {
  const size_t n_prompt = prompt.size();
  while (prompt.size() < n_prompt + n) prompt.push_back(Next(prompt));
  return {prompt.begin() + static_cast<ptrdiff_t>(n_prompt), prompt.end()};
}

void RecordingSink::OnQueued(uint32_t position) {
  n_after_finish += n_finished;
  positions.push_back(position);
}

void RecordingSink::OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) {
  n_after_finish += n_finished;
  progress.emplace_back(tokens_done, tokens_total);
}

void RecordingSink::OnToken(TokenEvent event) {
  n_after_finish += n_finished;
  tokens.push_back(event.token);
  text += event.text;
  events.push_back(std::move(event));
}

void RecordingSink::OnStopString(std::string found) {
  n_after_finish += n_finished;
  stop_string = std::move(found);
}

void RecordingSink::OnFinished(const Status& final_status, FinishReason finish_reason,
                               std::string trailing_text, const GenerateUsage& final_usage) {
  ++n_finished;
  status = final_status;
  reason = finish_reason;
  text += trailing_text;
  usage = final_usage;
  if (on_finished) on_finished();
}

GenerateRequest Greedy(std::vector<TokenId> prompt, uint32_t max_tokens) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0.0f;
  return request;
}

}  // namespace forge::testing
