#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/runtime/engine.h"
#include "engine/runtime/sampler.h"
#include "engine/runtime/stop_matcher.h"

namespace forge {

// What a model's turns share.
struct TurnLimits {
  const Tokenizer* tokenizer = nullptr;
  uint32_t n_vocab = 0;
  uint32_t context_length = 0;
};

// Refuses what no turn can be made of. kInvalidArgument (reason INVALID_REQUEST) naming field and
// value.
Status ValidateRequest(const GenerateRequest& request, uint32_t n_vocab);

// One answer in the making: chooses tokens, turns them into text, and knows when to stop.
//
// Does not hold the sequence and does not call the sink. Not thread-safe: after its creation it
// belongs to the executor thread.
class Turn {
 public:
  using Clock = std::chrono::steady_clock;

  // A chosen token, and why it is the last, if it is.
  struct Token {
    TokenEvent event;
    std::optional<FinishReason> finish;
  };

  // REQUIRES: ValidateRequest is OK. Lifetime: limits.tokenizer must outlive it.
  Turn(const TurnLimits& limits, GenerateRequest request, std::shared_ptr<GenerationSink> sink);

  const std::vector<TokenId>& prompt() const { return request_.prompt; }
  GenerationSink& sink() const { return *sink_; }
  std::shared_ptr<GenerationSink> shared_sink() const { return sink_; }

  // The turn leaves the queue. `n_cached` tokens of the sequence are in the cache, `n_to_compute`
  // tokens are not: the prompt, and what went before it and was lost.
  void Start(uint32_t n_cached, uint32_t n_to_compute);
  uint32_t n_to_compute() const { return n_to_compute_; }

  // Chooses the token after `sequence`. kDataLoss if the logits are no numbers.
  Result<Token> NextToken(std::span<const float> logits, std::span<const TokenId> sequence);

  // The text held back so far that belongs to the answer now that it ends.
  std::string TakeTrailingText();
  // Usage up to now. `context_used`: tokens in the sequence.
  GenerateUsage Usage(uint32_t context_used) const;

 private:
  std::optional<FinishReason> EndOf(TokenId token) const;

  // Constant after construction.
  const TurnLimits limits_;
  GenerateRequest request_;
  std::shared_ptr<GenerationSink> sink_;

  Sampler sampler_;
  StreamDecoder decoder_;
  StopMatcher stop_matcher_;
  uint32_t n_cached_ = 0;
  uint32_t n_to_compute_ = 0;
  uint32_t n_output_ = 0;
  Clock::time_point submitted_;
  std::optional<Clock::time_point> started_, first_token_;
};

}  // namespace forge
