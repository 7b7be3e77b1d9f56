#pragma once

#include <cstdint>

#include "kernels/api/ragged_batch.h"

namespace forge {

// What the user chooses when a model is loaded; fixed until it is unloaded.
struct LoadOptions {
  uint32_t context_length = 0;   // tokens per sequence; 0: the model's own, at most 4096
  uint32_t max_sequences = 4;    // sequences that run at the same time, 1..256
  uint32_t prefill_chunk = 512;  // most prompt tokens in one step, 1..4096
  KvDType kv_dtype = KvDType::kF16;
};

}  // namespace forge
