#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"
#include "kernels/api/recurrent_state.h"

namespace forge {

// Checks that each sequence is a range of tokens of its own, and that these make up the batch.
// kInvalidArgument otherwise. REQUIRES: ValidateSequences accepts it, and it has tokens.
Status CheckSequences(const RaggedBatch& batch);

// Checks the slots of a step: that there are such, that kept_after is within the sequence, and that
// no sequence writes a slot that another reads or writes. kInvalidArgument otherwise.
// REQUIRES: CheckSequences accepts the batch, and Validate the state.
Status CheckStates(const RaggedBatch& batch, const RecurrentState& state);

// Checks what a batch's arrays say, which Validate cannot see on every device: that each sequence
// is a range of tokens at rising positions, that the positions it touches fit its ring of blocks,
// and that each of these blocks is in the cache. Touched are the positions from the first token's
// p - window + 1 (from 0 without a window) to the last token's. kInvalidArgument otherwise.
// REQUIRES: Validate accepts both, and the batch has tokens; window >= 0.
Status CheckBatch(const RaggedBatch& batch, const KvLayerView& cache, int window);

// Checks AttentionArgs::last_seen of a batch that CheckBatch accepts. kInvalidArgument otherwise.
Status CheckLastSeen(const RaggedBatch& batch, const int32_t* last_seen);

}  // namespace forge
