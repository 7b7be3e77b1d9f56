#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/runtime/kv_blocks.h"
#include "engine/text/tokenizer.h"
#include "kernels/base/result.h"

namespace forge {

// The part of one sequence that a step computes.
struct StepSequence {
  std::span<const TokenId> tokens;       // at least one
  uint32_t first_position = 0;           // of tokens[0]; everything before it is in the cache
  std::span<const KvBlockTable> blocks;  // of each KvGroup, enough for the last token's position
  bool wants_logits = false;             // of the last token
};

// One step: tokens of several sequences that go through the model together.
struct StepBatch {
  std::vector<StepSequence> sequences;
};

// The logits of a step's sequences that want them, in order of the batch. A view that the runner's
// next step overwrites.
struct StepLogits {
  std::span<const float> values;  // [n_rows, n_vocab]
  uint32_t n_vocab = 0;

  std::span<const float> Row(size_t row) const { return values.subspan(row * n_vocab, n_vocab); }
};

// Computes steps of one model. Thread-compatible.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  // Stores the batch's keys and values in the cache and returns the logits. Blocks until they are
  // there. On failure the cache's contents at the batch's positions are unspecified.
  virtual Result<StepLogits> Run(const StepBatch& batch) = 0;
};

}  // namespace forge
