#include "tests/engine/runtime/fake_model.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "engine/gguf/gguf_file.h"
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

FakeModel::FakeModel(const SchedulerOptions& options)
    : options_(options), cache_(size_t{options.n_blocks} * options.block_tokens, -1) {}

Result<StepLogits> FakeModel::Run(const StepBatch& batch) {
  if (during_step) during_step();
  if (failure) return *failure;
  std::vector<Part> parts;
  logits_.clear();
  for (const StepSequence& sequence : batch.sequences) Store(sequence);
  for (const StepSequence& sequence : batch.sequences) {
    parts.push_back({sequence.first_position, static_cast<uint32_t>(sequence.tokens.size()),
                     sequence.wants_logits});
    if (!sequence.wants_logits) continue;
    const std::vector<TokenId> tokens = ReadBack(sequence);
    const size_t row = logits_.size();
    logits_.resize(row + options_.limits.n_vocab,
                   computes_nonsense ? std::numeric_limits<float>::quiet_NaN() : 0.0f);
    const std::optional<TokenId> scripted = script ? script(tokens) : std::nullopt;
    logits_[row + static_cast<size_t>(scripted.value_or(Next(tokens)))] += 20.0f;
  }
  steps_.push_back(std::move(parts));
  return StepLogits{logits_, options_.limits.n_vocab};
}

void FakeModel::Store(const StepSequence& sequence) {
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    const size_t position = sequence.first_position + i;
    const auto block = static_cast<size_t>(sequence.blocks[position / options_.block_tokens]);
    cache_[block * options_.block_tokens + position % options_.block_tokens] = sequence.tokens[i];
  }
}

std::vector<TokenId> FakeModel::ReadBack(const StepSequence& sequence) const {
  std::vector<TokenId> tokens;
  for (size_t position = 0; position < sequence.first_position + sequence.tokens.size();
       ++position) {
    const auto block = static_cast<size_t>(sequence.blocks[position / options_.block_tokens]);
    tokens.push_back(cache_[block * options_.block_tokens + position % options_.block_tokens]);
  }
  return tokens;
}

TokenId FakeModel::Next(std::span<const TokenId> sequence) const {
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
