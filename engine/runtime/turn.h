#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/runtime/answer_text.h"
#include "engine/runtime/call_holder.h"
#include "engine/runtime/drafter.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/forced_drafter.h"
#include "engine/runtime/sampler.h"
#include "engine/runtime/task.h"
#include "engine/runtime/turn_constraints.h"

namespace forge {

// What a model's turns share.
struct TurnLimits {
  const Tokenizer* tokenizer = nullptr;
  uint32_t n_vocab = 0;
  uint32_t context_length = 0;
  // The executor's.
  std::shared_ptr<SamplerScratch> sampler_scratch = std::make_shared<SamplerScratch>();
};

// Refuses what no turn can be made of. kInvalidArgument (reason INVALID_REQUEST) naming field and
// value.
Status ValidateRequest(const GenerateRequest& request, uint32_t n_vocab);

// One answer in the making: chooses tokens, turns them into text, and knows when to stop.
class Turn final : public Task {
 public:
  using Clock = std::chrono::steady_clock;

  // A chosen token, and why it is the last, if it is.
  struct Token {
    TokenEvent event;
    std::optional<FinishReason> finish;
  };

  // REQUIRES: ValidateRequest is OK, and the constraints are the request's. Lifetime:
  // limits.tokenizer and the constraints' compiler must outlive it.
  Turn(const TurnLimits& limits, GenerateRequest request, TurnConstraints constraints,
       std::shared_ptr<GenerationSink> sink);

  const std::vector<TokenId>& prompt() const override { return request_.prompt; }
  std::optional<uint32_t> keep_tokens() const override { return request_.keep_tokens; }
  bool is_reading() const override { return false; }
  std::shared_ptr<ProgressSink> progress_sink() const override { return sink_; }
  void Start(uint32_t n_cached, uint32_t n_to_compute) override;
  void TakeCached(uint32_t n_tokens) override { n_cached_ += n_tokens; }
  uint32_t n_to_compute() const override { return n_to_compute_; }
  const Draft* Propose(std::span<const TokenId> sequence, size_t most) override;
  StepOutput Wants(uint32_t first, uint32_t end, uint32_t n_tokens) const override;
  uint32_t n_top() const override { return n_top_; }
  void TakeRow(uint32_t position, const StepRow& row, std::span<const TokenId> sequence) override;
  std::vector<Outcome> TakeOutcomes(uint32_t n_pending) override;
  EndCall End(const Status& status, FinishReason reason, uint32_t context_used) override;

  // Chooses the token after `sequence` from what Wants asked for. kDataLoss if the logits are no
  // numbers; errors of Constraint.
  Result<Token> NextToken(const StepRow& row, std::span<const TokenId> sequence);

  // Usage up to now. `context_used`: tokens in the sequence.
  GenerateUsage Usage(uint32_t context_used) const;

 private:
  std::optional<FinishReason> EndOf(TokenId token) const;
  // The token after `sequence`, one that the constraint allows if there is one, with the
  // probabilities that were asked for.
  Result<TokenEvent> Choose(std::span<const float> logits, std::span<const TokenId> sequence);
  // The same from the greatest logits.
  Result<TokenEvent> ChooseTop(const StepRow& row);
  Result<TokenId> Sample(std::span<const float> logits, std::span<const TokenId> sequence);
  // The greatest logits decide on the next token.
  bool chooses_top() const { return n_top_ > 0 && !calls_.is_holding(); }

  // Constant after construction.
  const TurnLimits limits_;
  GenerateRequest request_;
  std::shared_ptr<GenerationSink> sink_;

  ConstraintPtr constraint_;  // may be null
  Sampler sampler_;
  uint32_t n_top_;  // of the greatest logits, all that it needs; 0: it needs all of them
  AnswerText text_;
  CallHolder calls_;
  Drafter drafter_;
  std::optional<ForcedDrafter> forced_;  // of constraint_, from the first Propose on
  Draft possible_;                       // drafter_'s, as far as the constraint allows it
  std::vector<Result<Token>> next_;      // chosen in the running step
  uint32_t next_position_ = 0;           // of the last row that one was chosen from
  uint32_t n_cached_ = 0;
  uint32_t n_to_compute_ = 0;
  uint32_t n_output_ = 0;
  uint32_t n_drafted_ = 0, n_accepted_ = 0;
  Clock::time_point submitted_;
  std::optional<Clock::time_point> started_, first_token_;
};

}  // namespace forge
