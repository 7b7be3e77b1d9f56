#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/runtime/scheduler.h"
#include "engine/runtime/step_runner.h"
#include "engine/text/tokenizer.h"

namespace forge::testing {

// A vocabulary for tests without a model: the one of TinyVocabulary::kBpe.
const Tokenizer& TestTokenizer();
// The tokens of a text, without special ones.
std::vector<TokenId> TestTokens(std::string_view text);

// Stands in for a model: its "keys and values" are the tokens themselves, kept in blocks as the
// scheduler hands them out, and the next token is a function of the whole sequence read back
// through the block table. A wrong position, a block in two tables, or one that was lost and not
// computed again changes the answer; so does one that a ring lost before its window had passed.
// The "state" of recurrent layers is all tokens up to it: where the slot that a step goes on from
// has others than the blocks, the answer changes too.
class FakeModel final : public StepRunner {
 public:
  // What one sequence contributed to a step.
  struct Part {
    uint32_t first_position = 0;
    uint32_t n_tokens = 0;
    StepOutput wants = StepOutput::kNothing;
    bool is_generated = false;
  };

  explicit FakeModel(const SchedulerOptions& options);

  Status Run(const StepBatch& batch, const RowReader& read_row) override;

  // The token that the model puts after `sequence`, by a wide margin.
  TokenId Next(std::span<const TokenId> sequence) const;
  // Its hidden state after `sequence`: how many tokens, Next and 1.
  std::vector<float> Hidden(std::span<const TokenId> sequence) const;
  // `n` tokens after `prompt`.
  std::vector<TokenId> Continue(std::vector<TokenId> prompt, size_t n) const;

  // Every step so far, its parts in order of the batch.
  const std::vector<std::vector<Part>>& steps() const { return steps_; }
  void ForgetSteps() { steps_.clear(); }

  // Called within each step, before anything is computed.
  std::function<void()> during_step;
  // If set and true for a step, it fails with this.
  std::optional<Status> failure;
  // What Next gives, where it gives a token.
  std::function<std::optional<TokenId>(std::span<const TokenId>)> script;
  // Makes every logit NaN.
  bool computes_nonsense = false;

 private:
  void Store(const StepSequence& sequence);
  // What a step that does not come to its end leaves at its positions.
  void Spoil(const StepSequence& sequence);
  // Goes on from the slots of state, and replaces what they do not have in the sequence's blocks.
  void StoreState(const StepSequence& sequence);
  std::vector<TokenId> ReadBack(const StepSequence& sequence);
  std::vector<float> Logits(std::span<const TokenId> sequence) const;
  // Hands out what `sequence` wants of the token after `tokens`.
  void ReadRow(const StepSequence& sequence, std::span<const TokenId> tokens,
               const std::function<void(const StepRow&)>& read) const;
  TokenId& Slot(size_t group, const StepSequence& sequence, size_t position);

  SchedulerOptions options_;
  std::vector<std::vector<TokenId>> caches_;  // [n_groups][n_blocks, block_tokens]
  std::vector<std::vector<TokenId>> states_;  // [n_state_slots]
  std::vector<std::vector<Part>> steps_;
};

// Records what a turn was told. Not thread-safe: for tests that run steps themselves.
class RecordingSink : public GenerationSink {
 public:
  void OnQueued(uint32_t position) override;
  void OnPromptProgress(uint32_t tokens_done, uint32_t tokens_total) override;
  void OnToken(TokenEvent event) override;
  void OnStopString(std::string found) override;
  void OnFinished(const Status& final_status, FinishReason finish_reason, std::string trailing_text,
                  const GenerateUsage& final_usage) override;

  bool finished() const { return n_finished == 1; }

  std::vector<uint32_t> positions;
  std::vector<std::pair<uint32_t, uint32_t>> progress;
  std::vector<TokenEvent> events;
  std::vector<TokenId> tokens;
  std::string text;
  int n_finished = 0;
  int n_after_finish = 0;  // calls that must not have come
  Status status;
  FinishReason reason = FinishReason::kCancelled;
  std::string stop_string;
  GenerateUsage usage;
  std::function<void()> on_finished;
};

// A greedy request.
GenerateRequest Greedy(std::vector<TokenId> prompt, uint32_t max_tokens);

}  // namespace forge::testing
