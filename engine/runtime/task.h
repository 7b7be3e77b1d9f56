#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/runtime/drafter.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/step_runner.h"

namespace forge {

// What runs on a session: an answer in the making (Turn), or a reading of a text (Reading).
//
// Holds no sequence and calls no sink: it hands out calls, which the scheduler makes without its
// lock. Not thread-safe: after its creation it belongs to the executor thread.
class Task {
 public:
  // What a step came to.
  struct Outcome {
    Status status;                       // an error ends the task
    std::function<void()> delivery;      // to the sink; may be empty
    std::optional<TokenId> token;        // to append to the sequence
    std::optional<FinishReason> finish;  // set: the task is done
  };

  virtual ~Task() = default;

  // Appended to the session's sequence when the task leaves the queue.
  virtual const std::vector<TokenId>& prompt() const = 0;
  // What the sequence goes back to before that, in tokens; nullopt: it keeps all.
  virtual std::optional<uint32_t> keep_tokens() const { return std::nullopt; }
  // A reading takes a session without tokens, and adds none but its prompt.
  virtual bool is_reading() const = 0;
  virtual std::shared_ptr<ProgressSink> progress_sink() const = 0;

  // The task leaves the queue. `n_cached` tokens of the sequence are in the cache, `n_to_compute`
  // tokens are not: the prompt, and what went before it and was lost.
  virtual void Start(uint32_t n_cached, uint32_t n_to_compute) = 0;
  virtual uint32_t n_to_compute() const = 0;
  // `n_tokens` of those to compute were found in the cache after all.
  virtual void TakeCached(uint32_t /*n_tokens*/) {}

  // What may follow `sequence`, at most `most` tokens, for a step to compute beside the next one;
  // valid until the next call. Null: nothing that could be of use.
  virtual const Draft* Propose(std::span<const TokenId> /*sequence*/, size_t /*most*/) {
    return nullptr;
  }
  // What it wants of a step that computes positions [first, end) of `n_tokens`; `end` is above
  // those where a draft follows.
  virtual StepOutput Wants(uint32_t first, uint32_t end, uint32_t n_tokens) const = 0;
  // How many, where that is kTopLogits.
  virtual uint32_t n_top() const { return 0; }
  // A row it wanted, of the token at `position` of `sequence`, which a draft may follow. Of the
  // rows behind one another in a draft those count that are of tokens that the task chose.
  virtual void TakeRow(uint32_t position, const StepRow& row,
                       std::span<const TokenId> sequence) = 0;
  // After each step it took part in, at least one; several where a draft was right, for each of its
  // tokens one more. `n_pending` tokens of the sequence are still to be computed.
  virtual std::vector<Outcome> TakeOutcomes(uint32_t n_pending) = 0;

  // Tells the sink how the task ended; called again where it throws. `lost`: an error where the
  // sink was not told all before, which is how it ended then.
  using EndCall = std::function<void(const Status& lost)>;
  // `context_used`: tokens in the sequence.
  virtual EndCall End(const Status& status, FinishReason reason, uint32_t context_used) = 0;
};

}  // namespace forge
