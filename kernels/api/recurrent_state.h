#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/base/status.h"

namespace forge {

// What one recurrent layer remembers of sequences, in slots of an arena, and what a step does with
// it. A slot holds the state after some number of a sequence's tokens. All pointers are device
// memory. Only the op that writes a state knows the order of its elements.
struct RecurrentState {
  float* data = nullptr;    // of slot 0; slot i begins slot_stride elements * i behind it
  int64_t slot_stride = 0;  // at least what the op keeps of a sequence
  int n_slots = 0;
  // [n_sequences] The slot with the state before the sequence's first token of this step; -1: it
  // has none before that, and its state is zero.
  const int32_t* from = nullptr;
  // [n_sequences] The slot that gets the state after the sequence's last token of this step. May be
  // that of `from`; no other sequence's.
  const int32_t* to = nullptr;
  // [n_sequences] After so many of the sequence's tokens of this step its state goes to slot
  // kept_to as well; 0: nowhere.
  const int32_t* kept_after = nullptr;
  // [n_sequences], not read where kept_after is 0. Not `to`. No sequence reads or writes a slot
  // that another writes in the step.
  const int32_t* kept_to = nullptr;
};

// Checks what can be checked without looking at device memory; `n_elements`: what the op keeps of a
// sequence. kInvalidArgument; the name of the op begins the message.
Status Validate(const char* op, const RecurrentState& state, int64_t n_elements);

}  // namespace forge
