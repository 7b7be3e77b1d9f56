#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/runtime/kv_blocks.h"
#include "engine/runtime/state_slots.h"
#include "engine/text/tokenizer.h"
#include "kernels/base/result.h"

namespace forge {

// What a sequence wants of a step, in float32.
enum class StepOutput {
  kNothing,     // its keys and values in the cache
  kLastLogits,  // [n_vocab] after its last tokens
  kTopLogits,   // the n_top greatest of those
  kAllLogits,   // [n_vocab] after each token
  kAllHidden,   // [n_embd] of each token, after the output norm
};

// The part of one sequence that a step computes.
struct StepSequence {
  std::span<const TokenId> tokens;       // at least one
  uint32_t first_position = 0;           // of tokens[0]; everything before it is in the cache
  std::span<const KvBlockTable> blocks;  // of each KvGroup, enough for the last token's position
  StateSlots state = {};
  bool is_generated = false;  // the tokens were chosen or guessed rather than given
  StepOutput wants = StepOutput::kNothing;
  uint32_t n_last = 1;  // of kLastLogits and kTopLogits: how many of its tokens
  uint32_t n_top = 0;   // of kTopLogits: in [1, min(n_vocab, kMaxTopLogits)]
};

// One step: tokens of several sequences that go through the model together, generated ones before
// those of prompts.
struct StepBatch {
  std::vector<StepSequence> sequences;
  // Asked between layers, and as rows are read, so that a long step shows that it goes on. False:
  // nobody wants the step any more. May be null.
  std::function<bool()> goes_on = {};
};

// One row of what a step computed.
struct StepRow {
  std::span<const float> values;
  // Of kTopLogits: the tokens whose logits the values are, from the most likely on, equal ones by
  // ascending id, and the logarithm of the sum of the exponentials of all logits, as TopLogitsArgs
  // has them.
  std::span<const TokenId> tokens = {};
  double log_sum_exp = 0.0;
};

// Takes the row of token `token` of sequence `sequence` of the batch, valid during the call only.
using RowReader = std::function<void(size_t sequence, size_t token, const StepRow& row)>;

// Computes steps of one model. Thread-compatible.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Stores the batch's keys and values in the cache, and calls `read_row` for every row wanted, on
  // this thread; those of one sequence in order. Blocks until all is done. On failure some rows may
  // have been read, and the cache's contents at the batch's positions and in the slots that it
  // writes are unspecified. kCancelled where the batch did not go on.
  virtual Status Run(const StepBatch& batch, const RowReader& read_row) = 0;
};

}  // namespace forge
