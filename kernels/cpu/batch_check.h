#pragma once

#include "kernels/api/ragged_batch.h"

namespace forge {

// Checks what a batch's arrays say, which Validate cannot see on every device: that each sequence
// is a range of tokens at rising positions, and that every block up to its last position is in the
// cache. kInvalidArgument otherwise.
// REQUIRES: Validate accepts both, and the batch has tokens.
Status CheckBatch(const RaggedBatch& batch, const KvLayerView& cache);

}  // namespace forge
