#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"
#include "kernels/hip/gpu_runtime.h"

namespace forge {

// One sequence of a step: its tokens [begin, end), which are within the batch whatever first_token
// says, and what it does with slots.
struct SequenceStates {
  int begin;
  int end;
  bool is_valid;      // every slot is one that there is, and kept_after within the sequence
  const float* from;  // null: zero
  float* to;
  float* kept;     // null: none
  int kept_after;  // 0: never
};

FORGE_DEVICE SequenceStates FindStates(const RaggedBatch& batch, const RecurrentState& state,
                                       int sequence) {
  SequenceStates found = {};
  const int first = batch.first_token[sequence], last = batch.first_token[sequence + 1];
  found.begin = first < 0 ? 0 : first;
  found.end = last > batch.n_tokens ? batch.n_tokens : last;
  const int from = state.from[sequence], to = state.to[sequence];
  const int kept_after = state.kept_after[sequence];
  const int kept_to = kept_after == 0 ? 0 : state.kept_to[sequence];
  found.is_valid = from >= -1 && from < state.n_slots && to >= 0 && to < state.n_slots &&
                   kept_after >= 0 && kept_after <= found.end - found.begin && kept_to >= 0 &&
                   kept_to < state.n_slots;
  if (!found.is_valid) return found;
  found.from = from < 0 ? nullptr : state.data + from * state.slot_stride;
  found.to = state.data + to * state.slot_stride;
  found.kept = kept_after == 0 ? nullptr : state.data + kept_to * state.slot_stride;
  found.kept_after = kept_after;
  return found;
}

}  // namespace forge
