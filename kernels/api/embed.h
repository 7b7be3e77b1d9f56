#pragma once

#include <cstdint>

#include "kernels/api/weight.h"
#include "kernels/base/status.h"

namespace forge {

// y[t] = scale * row tokens[t] of `table`, expanded to float32.
struct EmbedArgs {
  WeightView table;                 // [n_vocab, dim], packed
  const int32_t* tokens = nullptr;  // [n_tokens], each in [0, n_vocab)
  float* y = nullptr;               // [n_tokens, dim]
  int n_tokens = 0;
  float scale = 1.0f;
};
Status Validate(const EmbedArgs& args);

}  // namespace forge
